package rules

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/cachecontrol"
)

// Policy holds the choices that RFC 9111 and its relatives leave to a cache. Its methods are the
// caching rules: pure functions of a request, a response and an instant, which read no clock, do no
// I/O and keep nothing that they are given.
//
// The zero Policy is that of a shared cache. A Policy must not change once it is in use; its
// methods may then be called concurrently.
type Policy struct {
	// Private makes the rules those of a private cache: it stores responses marked private (RFC
	// 9111 §5.2.2.7) and those to requests with Authorization (§3.5), and ignores s-maxage
	// (§5.2.2.10) and proxy-revalidate (§5.2.2.8).
	Private bool

	// SetCookie says what becomes of responses that set cookies. The default is SetCookieDrop.
	SetCookie SetCookie

	// TargetedFields are the targeted fields that the cache obeys in place of Cache-Control and
	// Expires, the most important first (the target list of RFC 9213 §2.2). Nil means
	// CDN-Cache-Control for a shared cache and none for a private one; an empty slice means none.
	TargetedFields []string

	// FractionalSeconds accepts fractions in the seconds of directives, as an extension.
	FractionalSeconds bool

	// StoreServerErrors lets responses with a 5xx status be stored for as long as they say
	// themselves. Without it they are stored only where Defaults grants their status a lifetime,
	// and for no longer than that: a max-age was often set for the page, before the error came
	// about. RFC 9111 §3 lets a cache choose.
	StoreServerErrors bool

	// Defaults are the freshness and the stale windows of responses that name none.
	Defaults cirque.CacheMetaDefaults

	// MaxHeaderBytes is the largest header section that is stored, in bytes. Zero or less means 64
	// KiB.
	MaxHeaderBytes int
}

// SetCookie says what becomes of a response with Set-Cookie, or the obsolete Set-Cookie2, that may
// be stored otherwise. Whatever it says, the client whose request the origin answered gets the
// field, and a shared cache does not store such a response where the origin gave it no explicit
// freshness.
type SetCookie uint8

const (
	// SetCookieDrop stores the response without the field: a cookie is for one client at one time.
	// Replayed, it would give one client's session to others, and undo a login or logout that came
	// in between. RFC 9111 §3.1 would have every field stored; browsers do not reuse this one
	// either.
	SetCookieDrop SetCookie = iota
	// SetCookieKeep stores the field with the response, and every hit sends it: RFC 9111 to the
	// letter. It is for origins whose cookies are the same for everybody.
	SetCookieKeep
	// SetCookieRefuse does not store the response.
	SetCookieRefuse
)

const (
	defaultMaxHeaderBytes = 64 << 10

	// maxDelta stands for infinity in every calculation with seconds (RFC 9111 §1.2.2).
	maxDelta = (1 << 31) * time.Second
)

// Exchange is a request and its response, as a cache sees them that is to decide about storing.
type Exchange struct {
	// Request is the request as the client sent it, less the fields that [RemoveConnectionFields]
	// drops. Of its URL, the scheme and host matter where URIs are compared; a server's request may
	// leave them out.
	Request *http.Request

	// Stripped is what [RemoveConnectionFields] reported of the request: that the origin did not
	// get a field because Connection listed it. Whoever sent Connection may have done so to provoke
	// what an origin answers without.
	Stripped bool

	// Status and Header are the response's, as received.
	Status int
	Header http.Header

	// RequestTime and ResponseTime are when the request was sent and the response's header was
	// received: request_time and response_time of RFC 9111 §4.2.3.
	RequestTime, ResponseTime time.Time

	// Changed names, in canonical form, the request fields that something between the cache and the
	// origin added, or gave another value: the origin answered to what the cache did not see
	// ([http.Response.Request] may tell). Such an Authorization counts as the request's, and a
	// response is not stored that Vary or Keyed make depend on such a field.
	Changed []string

	// Keyed names the request fields that the key depends on, beside those in Vary: those that tell
	// the users of a private cache apart, say.
	Keyed []string

	// Decoded reports that the transport removed a content coding ([http.Response.Uncompressed]).
	Decoded bool
}

// Recency returns a meta that has nothing but the place of x in the order of exchanges, for
// [cirque.HttpCache.Supersede]: when the origin was asked, when its header was received, and Date.
func (x *Exchange) Recency() *cirque.CacheMeta {
	header := http.Header{}
	if date := x.Header["Date"]; len(date) > 0 {
		header["Date"] = date[:1]
	}
	m := cirque.NewCacheMeta(0, header, x.ResponseTime, x.ResponseTime, 0, 0)
	m.SetAsked(x.RequestTime)
	return m
}

func (x *Exchange) method() string {
	if x.Request.Method == "" {
		return http.MethodGet
	}
	return x.Request.Method
}

// Refusal says why a response is not stored.
type Refusal struct {
	// Reason is OriginNotCache in all cases but a header section that is too large.
	Reason cirque.NoCacheReason

	// Detail names the rule as a token, fit for the detail parameter of Cache-Status (RFC 9211
	// §2.8).
	Detail string

	// ByResponse reports that the response alone is the cause, so that the next one will likely be
	// refused too. It is false where the request's method, directives, credentials or other fields
	// had a part in it.
	ByResponse bool

	// Ends reports, of an update by [Policy.Freshen], that the response forbids to keep what is
	// stored, whoever asked: that must not be used any more (RFC 9111 §4.3.4). It is false where
	// this request alone is the cause, and without an update.
	Ends bool
}

func refuseResponse(detail string) *Refusal {
	return &Refusal{Reason: cirque.OriginNotCache, Detail: detail, ByResponse: true}
}

func refuseRequest(detail string) *Refusal {
	return &Refusal{Reason: cirque.OriginNotCache, Detail: detail}
}

// defaultTargetedFields is the target list of a shared cache (RFC 9213 §3).
var defaultTargetedFields = []string{"Cdn-Cache-Control"}

func (p *Policy) targetedFields() []string {
	if p.TargetedFields != nil || p.Private {
		return p.TargetedFields
	}
	return defaultTargetedFields
}

func (p *Policy) options() *cachecontrol.Options {
	return &cachecontrol.Options{FractionalSeconds: p.FractionalSeconds}
}

func (p *Policy) maxHeaderBytes() int {
	if p.MaxHeaderBytes <= 0 {
		return defaultMaxHeaderBytes
	}
	return p.MaxHeaderBytes
}

// responseDirectives are the directives that govern one response in one cache.
type responseDirectives struct {
	cachecontrol.Response
	targeted bool // they come from a targeted field, and Expires is void
}

// directives returns what governs a response with header h: the first valid field of the target
// list, else Cache-Control (RFC 9213 §2.2).
func (p *Policy) directives(h http.Header) responseDirectives {
	for _, name := range p.targetedFields() {
		if targeted, ok := cachecontrol.ParseTargeted(h.Values(name)); ok {
			return responseDirectives{Response: p.applicable(targeted), targeted: true}
		}
	}
	return responseDirectives{Response: p.applicable(cachecontrol.ParseResponse(h["Cache-Control"], p.options()))}
}

// applicable takes out of d what does not concern this kind of cache, so that no rule has to ask
// again.
func (p *Policy) applicable(d cachecontrol.Response) cachecontrol.Response {
	if p.Private {
		d.SMaxAge = cachecontrol.Delta{} // RFC 9111 §5.2.2.10
		d.ProxyRevalidate = false        // RFC 9111 §5.2.2.8
		d.PrivateFields = nil            // RFC 9111 §5.2.2.7
	}
	return d
}
