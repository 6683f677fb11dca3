package rules

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Store decides whether the response to a GET may be stored (RFC 9111 §3). If so, it returns the
// complete meta to store it with, save for the variance; the header in it is x.Header less what is
// not stored (§3.1). Otherwise it returns the refusal alone, and what is stored for the request is
// superseded nonetheless.
//
// A response that isn't fresh is stored where it can be validated or might be served stale. One to
// HEAD is never stored, but may freshen: see [CompareHead]. For 206 see [Policy.StorePartial].
func (p *Policy) Store(x *Exchange) (*cirque.CacheMeta, *Refusal) {
	if x.method() != http.MethodGet {
		return nil, refuseRequest("method")
	}
	switch {
	case !final(x.Status), x.Status == http.StatusPartialContent, x.Status == http.StatusNotModified:
		return nil, refuseResponse("status")
	case x.Status == http.StatusRequestedRangeNotSatisfiable && len(x.Request.Header["Range"]) > 0:
		return nil, refuseRequest("status") // it answers the range, which is in no key
	}
	return p.admit(x)
}

// StorePost decides whether the response to a POST may be stored to serve later GETs. That takes
// explicit freshness and a Content-Location equal to the target URI (RFC 9110 §9.3.3), and a 200,
// as no other status would answer them.
func (p *Policy) StorePost(x *Exchange) (*cirque.CacheMeta, *Refusal) {
	target := TargetURI(x.Request)
	switch {
	case x.method() != http.MethodPost:
		return nil, refuseRequest("method")
	case x.Status != http.StatusOK:
		return nil, refuseResponse("status")
	case !refersTo(x.Header["Content-Location"], target):
		return nil, refuseResponse("content-location")
	}
	if f := p.Freshness(x); !f.Explicit || !f.Fresh() {
		return nil, refuseResponse("no-freshness")
	}
	return p.admit(x)
}

// refersTo reports whether the lines of a field are one URI reference that, seen from uri, refers
// to uri itself.
func refersTo(lines []string, uri *url.URL) bool {
	if len(lines) != 1 {
		return false
	}
	reference := resolve(uri, lines[0])
	return reference != nil && reference.String() == uri.String()
}

func (p *Policy) admit(x *Exchange) (*cirque.CacheMeta, *Refusal) {
	c := p.candidate(x, x.Status, x.Header)
	if refusal := c.refusal(); refusal != nil {
		return nil, refusal
	}
	m := c.meta()
	setGroups(m, x.Request)
	return m, nil
}

// setGroups notes in m which groups of the origin of req's target the response is in (RFC 9875 §2).
func setGroups(m *cirque.CacheMeta, req *http.Request) {
	if len(m.Header().Values("Cache-Groups")) > 0 || m.HasGroups() {
		u := TargetURI(req)
		m.SetGroups(u.Scheme + "://" + u.Host)
	}
}

// candidate is a response that may be stored, if no rule objects. Status and header are those of
// its exchange, unless the exchange updates a stored response.
type candidate struct {
	policy     *Policy
	exchange   *Exchange
	status     int
	header     http.Header // as received
	stored     http.Header // what of it may be stored; only read, as it may be the same
	setsCookie bool        // in a field that the origin does not itself keep from being stored
	directives responseDirectives
	freshness  Freshness
}

func (p *Policy) candidate(x *Exchange, status int, h http.Header) candidate {
	d := p.directives(h)
	except := slices.Concat(d.NoCacheFields, d.PrivateFields) // RFC 9111 §5.2.2.4 and §5.2.2.7
	setsCookie := slices.ContainsFunc(cookieFields, func(name string) bool {
		return len(h[name]) > 0 && !slices.Contains(except, name)
	})
	if setsCookie && p.SetCookie == SetCookieDrop {
		except = append(except, cookieFields...)
	}
	dated := len(h["Date"]) > 0
	stored := h // which needs no copy where all of it is stored
	if !dated || len(except) > 0 || !storableWhole(h) {
		stored = StoredHeader(h, except...)
	}
	if !dated {
		stored["Date"] = []string{x.ResponseTime.UTC().Format(http.TimeFormat)} // RFC 9110 §6.6.1
	}
	return candidate{p, x, status, h, stored, setsCookie, d, p.freshness(x, status, h, d)}
}

const refusedCookie = "set-cookie" // the Detail of a Refusal

// cookieFields set cookies. Set-Cookie2 is obsolete (RFC 6265 §9.4).
var cookieFields = []string{"Set-Cookie", "Set-Cookie2"}

// refusal applies the prohibitions of RFC 9111 §3, and those that keep a shared cache from handing
// one client's answer to another.
func (c *candidate) refusal() *Refusal {
	if refusal := c.refusedByResponse(); refusal != nil {
		// A response to this client's credentials, or to fields that provoke errors, tells nothing
		// about the next.
		byRequest := c.refusedByRequest()
		refusal.ByResponse = !(c.authorized() && c.sentAuthorization()) && (byRequest == nil || byRequest.ByResponse)
		return refusal
	}
	return c.refusedByRequest()
}

func (c *candidate) refusedByResponse() *Refusal {
	d, shared := c.directives, !c.policy.Private
	switch _, star := cirque.VaryFields(c.header); {
	case d.MustUnderstand && !understood(c.status):
		return refuseResponse("must-understand") // RFC 9111 §3, §5.2.2.3
	case d.NoStore && !d.MustUnderstand:
		return refuseResponse("no-store") // RFC 9111 §5.2.2.5
	case d.Private && shared:
		return refuseResponse("private") // RFC 9111 §5.2.2.7
	case c.policy.boundsServerError(c.status) && c.policy.Defaults.FreshDuration(c.status) <= 0:
		return refuseResponse("server-error")
	case !c.storable():
		return refuseResponse("no-freshness") // RFC 9111 §3, the last point
	case star:
		return refuseResponse("vary-star") // RFC 9111 §4.1: it would match no request
	case len(c.stored["Vary"]) < len(c.header["Vary"]):
		return refuseResponse("vary") // private="Vary", say: stored without it, it would match all
	case c.setsCookie && (shared && !c.reusableAsItIs() || c.policy.SetCookie == SetCookieRefuse):
		// RFC 9111 §7.3. What a cookie comes with was likely made for one client, unless the origin
		// itself says otherwise.
		return refuseResponse(refusedCookie)
	case !field.ValidHeader(c.stored):
		return refuseResponse("header-invalid") // RFC 9110 §5.5
	case headerSize(c.stored, nil) > c.policy.maxHeaderBytes():
		return &Refusal{Reason: cirque.ResponseTooLarge, Detail: "header-too-large"}
	case c.validatable():
		return nil
	case d.NoCache:
		return refuseResponse("no-cache") // RFC 9111 §5.2.2.4: it would have to be validated
	case !c.freshness.Fresh() && !c.servableStale():
		return refuseResponse("no-freshness")
	}
	return nil
}

func (c *candidate) refusedByRequest() *Refusal {
	h := c.exchange.Request.Header
	switch {
	case c.policy.RequestDirectives(h).NoStore:
		return refuseRequest("request-no-store") // RFC 9111 §5.2.1.5
	case c.authorized() && !c.directives.shareAuthorized(): // RFC 9111 §3.5
		// What is added on the way to every request is so to the next one as well.
		return &Refusal{Reason: cirque.OriginNotCache, Detail: "authorization", ByResponse: !c.sentAuthorization()}
	case overridesMethod(h):
		return refuseRequest("method-override") // see RequestCacheable
	case overridesTarget(h):
		return refuseRequest("target-override")
	case c.changedOnTheWay():
		return refuseResponse("request-changed") // RFC 9111 §4.1: it would match requests that it is no answer to
	case c.status >= 300 && c.exchange.Stripped, c.status >= 400 && c.policy.provokes(h, c.header):
		return refuseRequest("cpdos-request") // RFC 9111 §7.1
	}
	return nil
}

// storable reports whether the response contains one of the things without which RFC 9111 §3
// forbids to store it. A configured lifetime is an arrangement with the origin that takes their
// place.
func (c *candidate) storable() bool {
	d := c.directives
	return d.Public || d.Private && c.policy.Private || d.MaxAge.Present || d.SMaxAge.Present ||
		len(c.header["Expires"]) > 0 && !d.targeted || heuristicallyCacheable(c.status) ||
		c.policy.Defaults.FreshDuration(c.status) > 0
}

// reusableAsItIs reports whether the origin itself wants the response to be reused without being
// asked.
func (c *candidate) reusableAsItIs() bool {
	return c.freshness.Explicit && c.freshness.Fresh() && !c.directives.NoCache
}

// validatable reports whether the response has a validator (RFC 9111 §4.3.1).
func (c *candidate) validatable() bool {
	return len(c.stored["Etag"]) > 0 || len(c.stored["Last-Modified"]) > 0
}

func (c *candidate) servableStale() bool {
	m, now := c.meta(), c.exchange.ResponseTime
	return m.ServeStaleWhileRevalidate(now) || m.ServeStaleIfError(now)
}

// authorized reports whether the request had an Authorization that matters, be it added on its way
// to the origin: to a private cache it does not (RFC 9111 §3.5).
func (c *candidate) authorized() bool {
	return !c.policy.Private && (c.sentAuthorization() || slices.Contains(c.exchange.Changed, "Authorization"))
}

// sentAuthorization reports whether the client itself sent Authorization.
func (c *candidate) sentAuthorization() bool {
	return len(c.exchange.Request.Header["Authorization"]) > 0
}

// changedOnTheWay reports whether a field that the request is known by, in the key or in the
// variance, was another when the request reached the origin.
func (c *candidate) changedOnTheWay() bool {
	if len(c.exchange.Changed) == 0 {
		return false
	}
	known, _ := cirque.VaryFields(c.header)
	return slices.ContainsFunc(c.exchange.Changed, func(name string) bool {
		return slices.Contains(known, name) || slices.Contains(c.exchange.Keyed, name)
	})
}

// shareAuthorized reports whether a shared cache may store what a request with Authorization got
// (RFC 9111 §3.5).
func (d *responseDirectives) shareAuthorized() bool {
	return d.Public || d.MustRevalidate || d.SMaxAge.Valid
}

// maxRequestExtra bounds, in bytes, the header of a request whose error response is stored.
const maxRequestExtra = 8 << 10

// provokes reports whether a request with header h has what makes origins fail: control characters,
// or a great deal of header apart from the fields that are in the key. The error it provokes is not
// for others.
func (p *Policy) provokes(h, response http.Header) bool {
	keyed, _ := cirque.VaryFields(response)
	if p.Private {
		keyed = append(keyed, "Authorization", "Cookie")
	}
	return !field.ValidHeader(h) || headerSize(h, keyed) > maxRequestExtra
}

// meta puts together what is to be known about the response.
func (c *candidate) meta() *cirque.CacheMeta {
	x, d, f := c.exchange, c.directives, c.freshness
	swr, sie := c.staleWindows()
	epoch := x.ResponseTime.Add(-f.InitialAge)
	m := cirque.NewCacheMeta(c.status, c.stored, x.ResponseTime, epoch.Add(f.Lifetime), swr, sie)
	if f.InitialAge > 0 {
		m.SetEpochOverride(epoch)
	}
	if !x.RequestTime.IsZero() {
		m.SetAsked(x.RequestTime)
	}
	m.SetFlags(flagIf(c.neverStale(), cirque.MetaNoStale) |
		flagIf(d.NoCache, cirque.MetaNoCache) |
		flagIf(d.Immutable && c.policy.trustsImmutable(x.Request), cirque.MetaImmutable) |
		flagIf(x.Decoded, cirque.MetaDecoded) |
		flagIf(c.authorized(), cirque.MetaAuthorized) |
		flagIf(f.Heuristic, cirque.MetaHeuristic) |
		flagIf(f.delayed(), cirque.MetaDelayed))
	return m
}

func flagIf(on bool, flag cirque.MetaFlags) cirque.MetaFlags {
	if on {
		return flag
	}
	return 0
}

// staleWindows returns how long the response may be served stale (RFC 5861). Configured windows are
// for responses that are fresh for a while; an origin that grants no freshness wants to be asked. A
// server error with a bound to its lifetime has none, or windows that were meant for the page would
// lead past it.
func (c *candidate) staleWindows() (swr, sie time.Duration) {
	if c.policy.boundsServerError(c.status) {
		return 0, 0
	}
	if c.freshness.Lifetime > 0 {
		swr, sie = c.policy.Defaults.StaleWhileRevalidate, c.policy.Defaults.StaleIfError
	}
	if d := c.directives.StaleWhileRevalidate; d.Present {
		swr = d.Duration
	}
	if d := c.directives.StaleIfError; d.Present {
		sie = d.Duration
	}
	return swr, sie
}

// neverStale reports whether the response must not be served stale (RFC 9111 §4.2.4). s-maxage
// includes proxy-revalidate (§5.2.2.10); private caches see neither. A response to which the origin
// gave no lifetime and nothing else did either has no staleness that a client could accept with
// max-stale.
func (c *candidate) neverStale() bool {
	d, f := c.directives, c.freshness
	return d.MustRevalidate || d.ProxyRevalidate || d.SMaxAge.Present ||
		!f.Explicit && !f.Heuristic && !d.StaleWhileRevalidate.Present && !d.StaleIfError.Present
}

// trustsImmutable: a client should believe in immutable only where the resource is authenticated
// (RFC 8246 §3). How a shared cache reaches its origin is for its owner to secure.
func (p *Policy) trustsImmutable(req *http.Request) bool {
	return !p.Private || TargetURI(req).Scheme == "https"
}

// boundsServerError reports whether responses with this status are stored only as long as Defaults
// says.
func (p *Policy) boundsServerError(status int) bool { return status >= 500 && !p.StoreServerErrors }

// final reports whether status is that of a final response (RFC 9110 §15).
func final(status int) bool { return 200 <= status && status <= 599 }

// understood reports whether this cache keeps all requirements on caches of a final status (RFC
// 9111 §3): those that RFC 9110 §15 defines.
func understood(status int) bool {
	switch {
	case status <= 206, 300 <= status && status <= 308, 400 <= status && status <= 417,
		status == 421, status == 422, status == 426, 500 <= status && status <= 505:
		return status != 305 && status != 306 // deprecated, and unused
	}
	return false
}
