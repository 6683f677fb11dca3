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
	Doors []string // names of the only doors it makes sense at; nil: all
	Seeks bool     // it takes a Storage whose hits can seek; over another the cache does less, as it may

	// Of the requirement that the case stands under; set by Cases.
	Section string
	Level   Level
}

// Setup is the configuration that a case needs. It is comparable, so that the cases with one Setup share a Subject.
// The zero Setup is the shared cache that a zero configuration gives.
type Setup struct {
	Private, SingleUser  bool
	ForwardRanges        bool
	KeepSetCookie        bool // store Set-Cookie with the response
	RefuseSetCookie      bool // store no response with Set-Cookie
	CacheStatusKey       bool
	TLS                  bool          // between a client of its own and the origin
	StaleWhileRevalidate time.Duration // where the response says nothing
	StaleIfError         time.Duration // where the response says nothing
}

// Step is one request and what becomes of it. The steps of a case run one after the other, each when the cache has
// done what the one before set going: stored the response, and asked in the background.
type Step struct {
	// The request.
	Method  string // "": GET
	Path    string // appended to the path of the case
	Host    string // "": that of the server
	Header  Lines
	Body    string
	Clients int           // how many send it at once; the first must have reached the origin before the others start
	After   time.Duration // wait before sending it

	// Answer is what the origin answers; nil means that it must not be asked.
	Answer *Answer

	// Again is what it answers if it is asked again in the same step; nil means that it must not be.
	Again *Answer

	// Background means that the client is answered from the cache and the origin is asked behind its back.
	Background bool

	Sees  Sees
	Asked Asked
}

// Answer is what the origin does when it is asked.
type Answer struct {
	Status  int // 0: 200
	Header  Lines
	Body    string // "": a text that tells the answers of a case apart
	Empty   bool   // no content
	Trailer Lines
	Interim []Interim
	Raw     bool          // field names go out in their own spelling, as from a handler that writes to the header map
	Delay   time.Duration // before the header section
	Cut     bool          // break the connection in the middle of the body
	Dead    bool          // break the connection instead of answering
}

// Interim is a 1xx response.
type Interim struct {
	Status int
	Header Lines
}

// Sees is what the client must see. Fields that are zero are filled with what follows from the answer.
type Sees struct {
	Status      int
	Header      Lines
	Trailer     Lines
	Body        string
	Empty       bool // no content
	Parts       []Part
	Interim     []Interim
	CacheStatus []string // parameters of the last member: "hit", "-fwd", "fwd=stale", "ttl=~60", "detail=*"
	OthersSay   []string // the same for the clients of a step but the first
	Upstream    []string // the names of the members before it
	Fails       bool     // an error: 5xx, or none at all where the client holds the cache itself
	Broken      bool     // an answer that breaks off, if there is any
	from        int      // 1 + the step whose answer is seen again
}

// Part is one part of a multipart/byteranges body.
type Part struct{ ContentRange, Body, Type string }

// Asked is what the origin must have been asked.
type Asked struct {
	Method string // "": the client's
	Header Lines
	Body   string
	Times  int // 0: once, or twice where the step has an Again
}

// The rest of the file is the vocabulary that cases are written in.

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

// answer sets the origin's answer where status and fields don't say enough.
func (s Step) answer(a Answer) Step { s.Answer = &a; return s }

// again sets what the origin answers when it is asked a second time, and what the client then sees.
func (s Step) again(a Answer) Step { s.Again = &a; return s }

// dead makes the origin break the connection.
func (s Step) dead() Step { return s.answer(Answer{Dead: true}) }

// asked sets what must be in the header that the origin gets.
func (s Step) asked(header ...string) Step { s.Asked.Header = header; return s }

// sees sets what the client gets; status 0 leaves the status at what follows from the answer.
func (s Step) sees(status int, header ...string) Step {
	s.Sees.Status = status
	s.Sees.Header = append(slices.Clip(s.Sees.Header), header...)
	return s
}

// seesBody sets the content that the client gets.
func (s Step) seesBody(body string) Step { s.Sees.Body = body; return s }

// seesNothing demands empty content.
func (s Step) seesNothing() Step { s.Sees.Empty = true; return s }

// reuses means that the client gets the status and content that the origin answered to step n. Unless an answer is
// set too (a 304, an error), the origin must not be asked.
func (s Step) reuses(n int, header ...string) Step {
	s.Sees.from = n + 1
	s.Sees.Header = append(slices.Clip(s.Sees.Header), header...)
	return s
}

// refreshes means that the origin is asked in the background and answers so.
func (s Step) refreshes(status int, header ...string) Step {
	s.Background = true
	return s.answered(status, header...)
}

// fails means that the client gets an error.
func (s Step) fails() Step { s.Sees.Fails = true; return s }

// breaks means that the client gets an answer that breaks off, or none at all.
func (s Step) breaks() Step { s.Sees.Broken = true; return s }

// says sets parameters of the Cache-Status member.
func (s Step) says(params ...string) Step { s.Sees.CacheStatus = params; return s }

// seesUpstream sets who has written into Cache-Status before the cache.
func (s Step) seesUpstream(names ...string) Step { s.Sees.Upstream = names; return s }

// reused is the case of a response with these fields that answers the next request too.
func reused(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().reuses(0),
	}}
}

// notReused is the case of a response with these fields that doesn't.
func notReused(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().answered(200, header...),
	}}
}

// notStored is the case of a response with these fields that leaves nothing behind, not even something to validate.
func notStored(name string, header ...string) Case {
	return Case{Name: name, Steps: []Step{
		get().answered(200, append([]string{`ETag: "a"`, "Last-Modified: {now-100000}"}, header...)...),
		get().answered(200, header...).asked("-If-None-Match", "-If-Modified-Since"),
	}}
}

// validated is the case of a response with these fields, and an entity tag, that is stored and validated before reuse.
func validated(name string, header ...string) Case {
	header = append([]string{`ETag: "a"`}, header...)
	return Case{Name: name, Steps: []Step{
		get().answered(200, header...),
		get().answered(304, header...).asked(`If-None-Match: "a"`).reuses(0),
	}}
}

// SuitsDoor reports whether the case makes sense at door.
func (c *Case) SuitsDoor(door string) bool { return c.Doors == nil || slices.Contains(c.Doors, door) }

// slow reports whether the origin takes its time.
func (c *Case) slow() bool {
	return slices.ContainsFunc(c.Steps, func(st Step) bool { return st.Answer != nil && st.Answer.Delay > 0 })
}
