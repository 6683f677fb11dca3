package cachecontrol

import "github.com/pquerna/cachecontrol/cacheobject"

// Options adjusts parsing. A nil *Options means the defaults.
type Options struct {
	// FractionalSeconds accepts numbers such as 1.5, an extension for caches that hold responses
	// for less than a second. Without it they are invalid (RFC 9111 §1.2.2).
	FractionalSeconds bool
}

// Response holds the directives of a response's Cache-Control field, or of a targeted field in its
// place (RFC 9213). The zero value has none.
type Response struct {
	NoStore         bool // RFC 9111 §5.2.2.5
	NoTransform     bool // §5.2.2.6
	MustRevalidate  bool // §5.2.2.2
	ProxyRevalidate bool // §5.2.2.8
	MustUnderstand  bool // §5.2.2.3
	Public          bool // §5.2.2.9
	Immutable       bool // RFC 8246

	// NoCache is the unqualified no-cache (RFC 9111 §5.2.2.4). If only the qualified form was
	// given, NoCache is false and NoCacheFields lists the field names in canonical form, each once.
	NoCache       bool
	NoCacheFields []string

	// Private is the unqualified private (§5.2.2.7). If only the qualified form was given, Private
	// is false and PrivateFields lists the field names in canonical form, each once.
	Private       bool
	PrivateFields []string

	MaxAge               Delta // §5.2.2.1
	SMaxAge              Delta // §5.2.2.10
	StaleWhileRevalidate Delta // RFC 5861 §3
	StaleIfError         Delta // RFC 5861 §4

	// Extensions are the well-formed directives that this package does not know, in order, at most
	// 128 of them.
	Extensions []Directive
}

// ParseResponse reads the lines of a response's Cache-Control field, which are
// header["Cache-Control"]. The package documentation says how it reads malformed lines.
func ParseResponse(lines []string, o *Options) Response {
	if len(lines) == 0 {
		return Response{}
	}
	p := responseParser{fractions: o != nil && o.FractionalSeconds}
	collect(lines, &p)
	return p.result()
}

// IsZero reports whether r has no directives.
func (r Response) IsZero() bool {
	var buf [256]byte
	return len(r.append(buf[:0])) == 0
}

// String returns r as the value of a Cache-Control field. ParseResponse reads it back as r, with
// two exceptions: a number that was not [Delta.Valid] is written as 0, and fractions of seconds
// need [Options].FractionalSeconds again.
func (r Response) String() string {
	return string(r.append(nil))
}

func (r Response) append(b []byte) []byte {
	b = appendFlag(b, "no-store", r.NoStore)
	b = appendFlag(b, "must-understand", r.MustUnderstand)
	b = appendFields(b, "private", r.Private, r.PrivateFields)
	b = appendFields(b, "no-cache", r.NoCache, r.NoCacheFields)
	b = appendFlag(b, "public", r.Public)
	b = appendDelta(b, "max-age", r.MaxAge)
	b = appendDelta(b, "s-maxage", r.SMaxAge)
	b = appendFlag(b, "must-revalidate", r.MustRevalidate)
	b = appendFlag(b, "proxy-revalidate", r.ProxyRevalidate)
	b = appendDelta(b, "stale-while-revalidate", r.StaleWhileRevalidate)
	b = appendDelta(b, "stale-if-error", r.StaleIfError)
	b = appendFlag(b, "immutable", r.Immutable)
	b = appendFlag(b, "no-transform", r.NoTransform)
	for _, d := range r.Extensions {
		b = d.append(appendSeparator(b))
	}
	return b
}

// responseParser collects the directives of one response.
type responseParser struct {
	Response
	fractions bool
	// doubtful is set if it is uncertain whether there was a must-understand.
	doubtful bool
}

func (p *responseParser) result() Response {
	if p.doubtful {
		// Alone, must-understand restricts; beside no-store it permits (RFC 9111 §5.2.2.3).
		p.MustUnderstand = !p.NoStore
	}
	return p.Response
}

// delta returns the Delta that holds the directive's number, or nil if the directive takes none.
func (p *responseParser) delta(name string) *Delta {
	switch name {
	case "max-age":
		return &p.MaxAge
	case "s-maxage":
		return &p.SMaxAge
	case "stale-while-revalidate":
		return &p.StaleWhileRevalidate
	case "stale-if-error":
		return &p.StaleIfError
	}
	return nil
}

func (p *responseParser) add(text string, d Directive) {
	switch d.Name {
	case "no-store", "no-transform", "must-revalidate", "proxy-revalidate", "public",
		"max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		p.addTyped(text, d)
	case "no-cache":
		p.NoCache, p.NoCacheFields = mergeFields(p.NoCache, p.NoCacheFields, d.Value)
	case "private":
		p.Private, p.PrivateFields = mergeFields(p.Private, p.PrivateFields, d.Value)
	case "must-understand":
		if d.HasValue {
			p.restrict(d.Name)
		} else {
			p.MustUnderstand = true
		}
	case "immutable":
		p.Immutable = true // its argument does not matter (RFC 8246 §2)
	default:
		if len(p.Extensions) < maxExtensions {
			p.Extensions = append(p.Extensions, d)
		}
	}
}

// addTyped lets cacheobject parse the directive. cacheobject rejects an argument that does not fit.
func (p *responseParser) addTyped(text string, d Directive) {
	if v := p.delta(d.Name); v != nil && p.fractions && v.setFraction(d.Value) {
		return
	}
	cd, err := cacheobject.ParseResponseCacheControl(text)
	if err != nil {
		p.restrict(d.Name)
		return
	}
	p.NoStore = p.NoStore || cd.NoStore
	p.NoTransform = p.NoTransform || cd.NoTransform
	p.MustRevalidate = p.MustRevalidate || cd.MustRevalidate
	p.ProxyRevalidate = p.ProxyRevalidate || cd.ProxyRevalidate
	p.Public = p.Public || cd.Public
	p.MaxAge.setTyped(cd.MaxAge, d.Value)
	p.SMaxAge.setTyped(cd.SMaxAge, d.Value)
	p.StaleWhileRevalidate.setTyped(cd.StaleWhileRevalidate, d.Value)
	p.StaleIfError.setTyped(cd.StaleIfError, d.Value)
}

func (p *responseParser) restrict(name string) {
	switch name {
	case "no-store":
		p.NoStore = true
	case "no-transform":
		p.NoTransform = true
	case "must-revalidate":
		p.MustRevalidate = true
	case "proxy-revalidate":
		p.ProxyRevalidate = true
	case "must-understand":
		p.doubtful = true
	case "no-cache":
		p.NoCache, p.NoCacheFields = true, nil
	case "private":
		p.Private, p.PrivateFields = true, nil
	default:
		if v := p.delta(name); v != nil {
			v.refuse()
		}
	}
}
