package cachecontrol

import "github.com/pquerna/cachecontrol/cacheobject"

// Request holds the directives of a request's Cache-Control field. The zero value has none. Request
// directives are advisory (RFC 9111 §5.2.1).
type Request struct {
	NoCache      bool // §5.2.1.4
	NoStore      bool // §5.2.1.5
	NoTransform  bool // §5.2.1.6
	OnlyIfCached bool // §5.2.1.7

	MaxAge       Delta // §5.2.1.1
	MinFresh     Delta // §5.2.1.3
	StaleIfError Delta // RFC 5861 §4

	// MaxStale is max-stale with an argument (RFC 9111 §5.2.1.2). MaxStaleAny is max-stale without
	// one, which accepts any staleness; MaxStale is then the zero Delta.
	MaxStale    Delta
	MaxStaleAny bool

	// Extensions are the well-formed directives that this package does not know, in order, at most
	// 128 of them.
	Extensions []Directive
}

// ParseRequest reads the lines of a request's Cache-Control field, which are
// header["Cache-Control"]. The package documentation says how it reads malformed lines.
//
// An only-if-cached with an argument is ignored: it would fail a request that can be answered.
func ParseRequest(lines []string, o *Options) Request {
	switch len(lines) {
	case 0:
		return Request{}
	case 1:
		// Browsers send these when the user reloads a page.
		switch lines[0] {
		case "":
			return Request{}
		case "no-cache":
			return Request{NoCache: true}
		case "max-age=0":
			return Request{MaxAge: Delta{Present: true, Valid: true}}
		}
	}
	p := requestParser{fractions: o != nil && o.FractionalSeconds}
	collect(lines, &p)
	return p.Request
}

// String returns r as the value of a Cache-Control field. ParseRequest reads it back as r, with two
// exceptions: a number that was not [Delta.Valid] is written as 0, and fractions of seconds need
// [Options].FractionalSeconds again.
func (r Request) String() string {
	b := appendFlag(nil, "no-store", r.NoStore)
	b = appendFlag(b, "no-cache", r.NoCache)
	b = appendFlag(b, "only-if-cached", r.OnlyIfCached)
	b = appendDelta(b, "max-age", r.MaxAge)
	if r.MaxStaleAny {
		b = appendFlag(b, "max-stale", true)
	} else {
		b = appendDelta(b, "max-stale", r.MaxStale)
	}
	b = appendDelta(b, "min-fresh", r.MinFresh)
	b = appendDelta(b, "stale-if-error", r.StaleIfError)
	b = appendFlag(b, "no-transform", r.NoTransform)
	for _, d := range r.Extensions {
		b = d.append(appendSeparator(b))
	}
	return string(b)
}

// requestParser collects the directives of one request.
type requestParser struct {
	Request
	fractions bool
}

// delta returns the Delta that holds the directive's number, or nil if the directive takes none.
func (p *requestParser) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &p.MaxAge
	case "max-stale":
		return &p.MaxStale
	case "min-fresh":
		return &p.MinFresh
	case "stale-if-error":
		return &p.StaleIfError
	}
	return nil
}

func (p *requestParser) add(text string, d Directive) {
	switch d.Name {
	case "no-store", "no-cache", "no-transform", "only-if-cached",
		"max-age", "min-fresh", "stale-if-error":
		p.addTyped(text, d)
	case "max-stale":
		if !p.MaxStaleAny { // the first counts
			p.addTyped(text, d)
		}
	default:
		if len(p.Extensions) < maxExtensions {
			p.Extensions = append(p.Extensions, d)
		}
	}
}

// addTyped lets cacheobject parse the directive. cacheobject rejects an argument that does not fit.
func (p *requestParser) addTyped(text string, d Directive) {
	if v := p.delta(d.Name); v != nil && p.fractions && v.setFraction(d.Value) {
		return
	}
	cd, err := cacheobject.ParseRequestCacheControl(text)
	if err != nil {
		p.restrict(d.Name)
		return
	}
	p.NoStore = p.NoStore || cd.NoStore
	p.NoCache = p.NoCache || cd.NoCache
	p.NoTransform = p.NoTransform || cd.NoTransform
	p.OnlyIfCached = p.OnlyIfCached || cd.OnlyIfCached
	p.MaxStaleAny = p.MaxStaleAny || cd.MaxStaleSet && !p.MaxStale.Present
	p.MaxAge.setTyped(cd.MaxAge, d.Value)
	p.MaxStale.setTyped(cd.MaxStale, d.Value)
	p.MinFresh.setTyped(cd.MinFresh, d.Value)
	if d.Name == "stale-if-error" { // if unset, it is 0 and not -1 like the others
		p.StaleIfError.setTyped(cd.StaleIfError, d.Value)
	}
}

func (p *requestParser) restrict(name string) {
	switch name {
	case "no-store":
		p.NoStore = true
	case "no-cache":
		p.NoCache = true
	case "no-transform":
		p.NoTransform = true
	case "max-stale":
		if !p.MaxStaleAny {
			p.MaxStale.refuse()
		}
	default:
		if v := p.delta(name); v != nil {
			v.refuse()
		}
	}
}
