package conformance

import (
	"slices"
	"time"
)

// Case is one scripted exchange.
type Case struct {
	Name  string // the rule, as a phrase; unique in the suite
	Setup Setup
	Steps []Step
	Doors []string // the doors at which the case makes sense; nil: all
	Seeks bool     // it needs a Storage whose hits can seek; without seeking a cache may do less

	// Of the case's requirement; set by Cases.
	Section string
	Level   Level
}

// Setup is the configuration that a case needs. It is comparable, so that cases with the same Setup
// share a Subject. The zero Setup is the shared cache of a zero configuration.
type Setup struct {
	Private, SingleUser  bool
	ForwardRanges        bool
	KeepSetCookie        bool // store Set-Cookie with the response
	RefuseSetCookie      bool // store no response with Set-Cookie
	CacheStatusKey       bool
	StoreServerErrors    bool
	TLS                  bool          // between the cache and the origin; only at InClient
	StaleWhileRevalidate time.Duration // if the response does not say
	StaleIfError         time.Duration // if the response does not say
}

// Step is one request and its expected outcome. The steps of a case run one after the other. A step
// begins when the cache has finished the work of the step before, such as storing the response and
// background requests.
type Step struct {
	// The request.
	Method string // "": GET
	Path   string // appended to the path of the case
	Host   string // "": that of the server
	Header Lines
	Body   string
	// Clients is how many send it at once; the others start when the first has reached the origin.
	Clients int
	After   time.Duration // wait before sending it

	// Answer is the origin's answer. Nil means that no request may reach the origin.
	Answer *Answer

	// Again is the origin's answer to a second request in the same step. Nil means that there must
	// be none.
	Again *Answer

	// Background means that the client is answered from the cache, and the cache sends a request to
	// the origin in the background.
	Background bool

	Sees  Sees
	Asked Asked
}

// Answer is what the origin does with a request.
type Answer struct {
	Status  int // 0: 200
	Header  Lines
	Body    string // "": a text that differs for each answer of a case
	Empty   bool   // no content
	Trailer Lines
	Interim []Interim
	Raw     bool          // send field names as spelt, like a handler that writes to the map
	Delay   time.Duration // before the header section
	Cut     bool          // break the connection in the middle of the body
	Dead    bool          // break the connection instead of answering
}

// Interim is a 1xx response.
type Interim struct {
	Status int
	Header Lines
}

// Sees is what the client must see. A zero Status, Body or CacheStatus means what follows from the
// answer.
type Sees struct {
	Status      int
	Header      Lines
	Trailer     Lines
	Body        string
	Empty       bool // no content
	Parts       []Part
	Interim     []Interim
	CacheStatus []string // of the last member: "hit", "-fwd", "fwd=stale", "ttl=~60", "detail=*"
	OthersSay   []string // the same for the clients of a step after the first
	Upstream    []string // the names of the members before it
	Fails       bool     // the client must get a 5xx, or no answer if it holds the cache
	Broken      bool     // the answer, if there is one, must break off
	from        int      // 1 + the index of the step whose answer is seen again
}

// Part is one part of a multipart/byteranges body.
type Part struct{ ContentRange, Body, Type string }

// Asked is the request that must have reached the origin.
type Asked struct {
	Method string // "": the client's
	Header Lines
	Body   string
	Times  int // 0: once, or twice if the step has an Again
}

// Cases are written with the functions and methods below.

func get(header ...string) Step  { return Step{Header: header} }
func head(header ...string) Step { return Step{Method: "HEAD", Header: header} }

func send(method string, header ...string) Step { return Step{Method: method, Header: header} }

// at appends to the path, or adds a query.
func (s Step) at(path string) Step { s.Path = path; return s }

// answered sets the origin's answer.
func (s Step) answered(status int, header ...string) Step {
	s.Answer = &Answer{Status: status, Header: header}
	return s
}

// with gives the origin's answer a body.
func (s Step) with(body string) Step {
	a := *s.Answer
	a.Body = body
	s.Answer = &a
	return s
}

// answer sets the origin's answer, for more than a status and fields.
func (s Step) answer(a Answer) Step { s.Answer = &a; return s }

// again sets the origin's answer to a second request, which is then what the client sees.
func (s Step) again(a Answer) Step { s.Again = &a; return s }

// dead makes the origin break the connection.
func (s Step) dead() Step { return s.answer(Answer{Dead: true}) }

// asked sets what the header of the request to the origin must contain.
func (s Step) asked(header ...string) Step { s.Asked.Header = header; return s }

// sees sets what the client must get. Status 0 means the status that follows from the answer.
func (s Step) sees(status int, header ...string) Step {
	s.Sees.Status = status
	s.Sees.Header = append(slices.Clip(s.Sees.Header), header...)
	return s
}

// seesBody sets the content that the client must get.
func (s Step) seesBody(body string) Step { s.Sees.Body = body; return s }

// seesNothing requires empty content.
func (s Step) seesNothing() Step { s.Sees.Empty = true; return s }

// reuses means that the client must get the status and content of the origin's answer to step n.
// Unless an answer is set too (a 304, an error), no request may reach the origin.
func (s Step) reuses(n int, header ...string) Step {
	s.Sees.from = n + 1
	s.Sees.Header = append(slices.Clip(s.Sees.Header), header...)
	return s
}

// refreshes means that the cache sends a request in the background, and sets the origin's answer to
// it.
func (s Step) refreshes(status int, header ...string) Step {
	s.Background = true
	return s.answered(status, header...)
}

// fails means that the client must get an error.
func (s Step) fails() Step { s.Sees.Fails = true; return s }

// breaks means that the client must get an answer that breaks off, or none.
func (s Step) breaks() Step { s.Sees.Broken = true; return s }

// says sets parameters that the cache's member of Cache-Status must have.
func (s Step) says(params ...string) Step { s.Sees.CacheStatus = params; return s }

// seesUpstream sets the names of the members of Cache-Status before the cache's own.
func (s Step) seesUpstream(names ...string) Step { s.Sees.Upstream = names; return s }

// reused returns the case of a response with these fields that also answers the next request.
func reused(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().reuses(0),
	}}
}

// notReused returns the case of a response with these fields that does not answer the next request.
func notReused(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().answered(200, header...),
	}}
}

// notStored returns the case of a response with these fields that is not stored, not even for
// validation.
func notStored(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, append([]string{`ETag: "a"`, "Last-Modified: {now-100000}"}, header...)...),
		get().answered(200, header...).asked("-If-None-Match", "-If-Modified-Since"),
	}}
}

// validated returns the case of a response with these fields and an entity tag that is stored, and
// validated before reuse.
func validated(name string, header ...string) Case {
	header = append([]string{`ETag: "a"`}, header...)
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().answered(304, header...).asked(`If-None-Match: "a"`).reuses(0),
	}}
}

// SuitsDoor reports whether the case makes sense at door.
func (c *Case) SuitsDoor(door string) bool { return c.Doors == nil || slices.Contains(c.Doors, door) }

// Slow reports whether an answer of the origin has a Delay.
func (c *Case) Slow() bool {
	return slices.ContainsFunc(c.Steps, func(st Step) bool { return st.Answer != nil && st.Answer.Delay > 0 })
}
