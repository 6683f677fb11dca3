package rules

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/cachecontrol"
)

// Policy holds the choices that RFC 9111 and its relatives leave to a cache. Its methods are the
// caching rules: pure functions of a request, a response and an instant. They read no clock, do no
// I/O and keep nothing that they are given.
//
// The zero Policy is for a shared cache. A Policy must not change once it is in use; then its
// methods may be called concurrently.
type Policy struct {
	// Private selects the rules of a private cache. It stores responses marked private (RFC 9111
	// §5.2.2.7) and responses to requests with Authorization (§3.5). It ignores s-maxage
	// (§5.2.2.10) and proxy-revalidate (§5.2.2.8).
	Private bool

	// SetCookie says how responses that set cookies are stored. The default is SetCookieDrop.
	SetCookie SetCookie

	// TargetedFields lists the targeted fields that the cache obeys instead of Cache-Control and
	// Expires, the most important first (the target list of RFC 9213 §2.2). Nil means
	// CDN-Cache-Control for a shared cache and none for a private one; an empty slice means none.
	TargetedFields []string

	// FractionalSeconds accepts fractions of seconds in directives. That is an extension.
	FractionalSeconds bool

	// StoreServerErrors stores responses with a 5xx status for as long as their own header says.
	// Without it they are stored only if Defaults gives their status a lifetime, and for no longer
	// than that. Often a max-age was set for the page before the error happened. RFC 9111 §3 lets a
	// cache choose.
	StoreServerErrors bool

	// Defaults gives the lifetime and the stale windows of responses that state none.
	Defaults CacheMetaDefaults

	// MaxHeaderBytes is the largest header section that is stored, in bytes. Zero or less means 64
	// KiB.
	MaxHeaderBytes int
}

// SetCookie says how to store a response with Set-Cookie, or the obsolete Set-Cookie2, that may be
// stored by all other rules. In any case the client whose request the origin answered gets the
// field, and a shared cache does not store such a response without explicit freshness from the
// origin.
type SetCookie uint8

const (
	// SetCookieDrop stores the response without the field, because a cookie is for one client at
	// one time. A replayed cookie would give one client's session to others, and would undo a login
	// or logout that happened since. RFC 9111 §3.1 asks a cache to store every field; browsers do
	// not reuse this one either.
	SetCookieDrop SetCookie = iota
	// SetCookieKeep stores the field with the response, as RFC 9111 says literally, and every hit
	// sends it. Use it only if the origin's cookies are the same for all clients.
	SetCookieKeep
	// SetCookieRefuse does not store the response.
	SetCookieRefuse
)

const (
	defaultMaxHeaderBytes = 64 << 10

	// maxDelta stands for infinity in every calculation with seconds (RFC 9111 §1.2.2).
	maxDelta = (1 << 31) * time.Second
)

// Exchange is a request and its response, as the rules of storing need them. The rules only read
// it.
type Exchange struct {
	// Request is the request as the client sent it, without the fields that
	// [RemoveConnectionFields] deletes. URIs are compared by its URL; the URL of a server's request
	// may lack scheme and host (see [TargetURI]).
	Request *http.Request

	// Stripped is the result of [RemoveConnectionFields] for the request: the origin did not get a
	// field because Connection listed it. The client may have listed it to provoke the answer to a
	// request without that field.
	Stripped bool

	// Status and Header are those of the response, as received.
	Status int
	Header http.Header

	// RequestTime is when the request was sent, and ResponseTime when the response's header was
	// received: request_time and response_time of RFC 9111 §4.2.3.
	RequestTime, ResponseTime time.Time

	// Changed names, in canonical form, the request fields that something between the cache and the
	// origin added or changed ([http.Response.Request] may show them). The origin answered a
	// request that the cache did not see. An Authorization in Changed counts as part of the
	// request. A response is not stored if Vary or Keyed names a field in Changed.
	Changed []string

	// Keyed names the request fields that are in the key, besides those in Vary. An example are the
	// fields that tell apart the users of a private cache.
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

// method returns the request's method, GET if it is empty as in a client's request.
func (x *Exchange) method() string {
	if x.Request.Method == "" {
		return http.MethodGet
	}
	return x.Request.Method
}

// Refusal says why a response is not stored.
type Refusal struct {
	// Reason is ResponseTooLarge for a header section that is too large, else OriginNotCache.
	Reason cirque.NoCacheReason

	// Detail names the rule as a token for the detail parameter of Cache-Status (RFC 9211 §2.8).
	Detail string

	// ByResponse reports that the response alone is the cause, so the next one will probably be
	// refused too. It is false if the request's method, directives, credentials or other fields are
	// part of the cause.
	ByResponse bool

	// Ends is set only by [Policy.Freshen]. It reports that the stored response must not be used
	// any more, by any client, because of what the update says (RFC 9111 §4.3.4). It is false if
	// only this request is the cause.
	Ends bool
}

// refuseResponse returns a refusal that the response alone causes.
func refuseResponse(detail string) *Refusal {
	return &Refusal{Reason: cirque.OriginNotCache, Detail: detail, ByResponse: true}
}

// refuseRequest returns a refusal that the request has a part in.
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

// boundsServerError reports whether a response with this status is stored only for as long as
// Defaults says.
func (p *Policy) boundsServerError(status int) bool { return status >= 500 && !p.StoreServerErrors }

func (p *Policy) maxHeaderBytes() int {
	if p.MaxHeaderBytes <= 0 {
		return defaultMaxHeaderBytes
	}
	return p.MaxHeaderBytes
}

// responseDirectives are the directives that apply to one response in this cache.
type responseDirectives struct {
	cachecontrol.Response
	field    string // where they come from
	targeted bool   // that is a targeted field, so Expires is ignored
}

// directives returns the directives that apply to a response with header h: those of the first
// valid field of the target list, else those of Cache-Control (RFC 9213 §2.2).
func (p *Policy) directives(h http.Header) responseDirectives {
	for _, name := range p.targetedFields() {
		if targeted, ok := cachecontrol.ParseTargeted(h.Values(name)); ok {
			return responseDirectives{p.applicable(targeted), name, true}
		}
	}
	return responseDirectives{p.applicable(cachecontrol.ParseResponse(h["Cache-Control"], p.options())), "Cache-Control", false}
}

// applicable removes from d the directives that do not apply to this kind of cache, so that the
// other rules need not check for it.
func (p *Policy) applicable(d cachecontrol.Response) cachecontrol.Response {
	if p.Private {
		d.SMaxAge = cachecontrol.Delta{} // RFC 9111 §5.2.2.10
		d.ProxyRevalidate = false        // RFC 9111 §5.2.2.8
		d.PrivateFields = nil            // RFC 9111 §5.2.2.7
	}
	return d
}
