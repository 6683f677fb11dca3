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
// meta to store it with, complete except for the variance. The header in the meta is x.Header
// without the fields that are not stored (§3.1). Otherwise it returns only the refusal. Even then
// the new response supersedes what is stored for the request.
//
// A response that is not fresh is stored if it can be validated or may be served stale. The answer
// to a HEAD is never stored, but it may update a stored response: see [CompareHead]. For a 206 see
// [Policy.StorePartial].
func (p *Policy) Store(x *Exchange) (*cirque.CacheMeta, *Refusal) {
	if x.method() != http.MethodGet {
		return nil, refuseRequest("method")
	}
	switch {
	case !final(x.Status), x.Status == http.StatusPartialContent, x.Status == http.StatusNotModified:
		return nil, refuseResponse("status")
	case x.Status == http.StatusRequestedRangeNotSatisfiable && len(x.Request.Header["Range"]) > 0:
		return nil, refuseRequest("status") // it is about the range, which is not in the key
	}
	return p.admit(x)
}

// StorePost decides whether the response to a POST may be stored to answer later GETs. It must have
// explicit freshness, a Content-Location equal to the target URI (RFC 9110 §9.3.3), and status 200,
// because no other status would be an answer to a GET.
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

// refersTo reports whether the lines of a field are one URI reference, and it resolves to uri
// itself.
func refersTo(lines []string, uri *url.URL) bool {
	if len(lines) != 1 {
		return false
	}
	reference := resolve(uri, lines[0])
	return reference != nil && reference.String() == uri.String()
}

// admit applies the rules that hold for every complete response to a GET or POST.
func (p *Policy) admit(x *Exchange) (*cirque.CacheMeta, *Refusal) {
	c := p.candidate(x, x.Status, x.Header)
	if refusal := c.refusal(); refusal != nil {
		return nil, refusal
	}
	m := c.meta()
	setGroups(m, x.Request)
	return m, nil
}

// setGroups records in m the groups that the response belongs to. They are groups of the origin of
// req's target (RFC 9875 §2).
func setGroups(m *cirque.CacheMeta, req *http.Request) {
	if len(m.Header().Values("Cache-Groups")) > 0 || m.HasGroups() {
		u := TargetURI(req)
		m.SetGroups(u.Scheme + "://" + u.Host)
	}
}

// candidate is a response that is stored if no rule objects. If the exchange updates a stored
// response, status and header are those of the updated response, else those of the exchange.
type candidate struct {
	policy     *Policy
	exchange   *Exchange
	status     int
	header     http.Header // as received
	stored     http.Header // the part of header that may be stored; read-only, it may be header itself
	setsCookie bool        // in a field that no directive of the origin keeps from being stored
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
	stored := h // needs no copy if all of it is stored
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

// refusal applies the prohibitions of RFC 9111 §3, and those that keep a shared cache from giving
// one client's answer to another. It returns nil if none applies.
func (c *candidate) refusal() *Refusal {
	if refusal := c.refusedByResponse(); refusal != nil {
		// The response to this client's credentials, or to fields that provoke errors, says nothing
		// about the response to the next client.
		byRequest := c.refusedByRequest()
		refusal.ByResponse = !(c.authorized() && c.sentAuthorization()) && (byRequest == nil || byRequest.ByResponse)
		return refusal
	}
	return c.refusedByRequest()
}

// refusedByResponse applies the prohibitions that follow from the response.
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
		return refuseResponse("vary") // for example private="Vary": without Vary it would match every request
	case c.setsCookie && (shared && !c.reusableAsItIs() || c.policy.SetCookie == SetCookieRefuse):
		// RFC 9111 §7.3. A response with a cookie was probably made for one client, unless the
		// origin itself says otherwise.
		return refuseResponse(refusedCookie)
	case !field.ValidHeader(c.stored):
		return refuseResponse("header-invalid") // RFC 9110 §5.5
	case headerSize(c.stored, nil) > c.policy.maxHeaderBytes():
		return &Refusal{Reason: cirque.ResponseTooLarge, Detail: "header-too-large"}
	case c.validatable():
		return nil
	case d.NoCache:
		return refuseResponse("no-cache") // RFC 9111 §5.2.2.4: it must be validated, and cannot be
	case !c.freshness.Fresh() && !c.servableStale():
		return refuseResponse("no-freshness")
	}
	return nil
}

// refusedByRequest applies the prohibitions that follow from the request, or from what changed it
// on its way to the origin.
func (c *candidate) refusedByRequest() *Refusal {
	h := c.exchange.Request.Header
	switch {
	case c.policy.RequestDirectives(h).NoStore:
		return refuseRequest("request-no-store") // RFC 9111 §5.2.1.5
	case c.authorized() && !c.directives.shareAuthorized(): // RFC 9111 §3.5
		// An Authorization that is added on the way will be added to the next request too.
		return &Refusal{Reason: cirque.OriginNotCache, Detail: "authorization", ByResponse: !c.sentAuthorization()}
	case overridesMethod(h):
		return refuseRequest("method-override") // see RequestCacheable
	case overridesTarget(h):
		return refuseRequest("target-override")
	case c.changedOnTheWay():
		return refuseResponse("request-changed") // RFC 9111 §4.1: it would match requests that it does not answer
	case c.status >= 300 && c.exchange.Stripped, c.status >= 400 && c.policy.provokes(h, c.header):
		return refuseRequest("cpdos-request") // RFC 9111 §7.1
	}
	return nil
}

// storable reports whether the response has at least one of the things that RFC 9111 §3 requires
// for storing. A configured lifetime also counts, as an agreement with the origin.
func (c *candidate) storable() bool {
	d := c.directives
	return d.Public || d.Private && c.policy.Private || d.MaxAge.Present || d.SMaxAge.Present ||
		len(c.header["Expires"]) > 0 && !d.targeted || heuristicallyCacheable(c.status) ||
		c.policy.Defaults.FreshDuration(c.status) > 0
}

// reusableAsItIs reports whether the origin itself says that the response may be reused without
// asking the origin.
func (c *candidate) reusableAsItIs() bool {
	return c.freshness.Explicit && c.freshness.Fresh() && !c.directives.NoCache
}

// validatable reports whether the response has a validator (RFC 9111 §4.3.1).
func (c *candidate) validatable() bool {
	return len(c.stored["Etag"]) > 0 || len(c.stored["Last-Modified"]) > 0
}

// servableStale reports whether the response may be served although it is stale (RFC 5861).
func (c *candidate) servableStale() bool {
	m, now := c.meta(), c.exchange.ResponseTime
	return m.ServeStaleWhileRevalidate(now) || m.ServeStaleIfError(now)
}

// authorized reports whether the request had Authorization when it reached the origin and the cache
// is shared: to a private cache it does not matter (RFC 9111 §3.5).
func (c *candidate) authorized() bool {
	return !c.policy.Private && (c.sentAuthorization() || slices.Contains(c.exchange.Changed, "Authorization"))
}

// sentAuthorization reports whether the client itself sent Authorization.
func (c *candidate) sentAuthorization() bool {
	return len(c.exchange.Request.Header["Authorization"]) > 0
}

// changedOnTheWay reports whether a field of the key or the variance was changed before the request
// reached the origin.
func (c *candidate) changedOnTheWay() bool {
	if len(c.exchange.Changed) == 0 {
		return false
	}
	known, _ := cirque.VaryFields(c.header)
	return slices.ContainsFunc(c.exchange.Changed, func(name string) bool {
		return slices.Contains(known, name) || slices.Contains(c.exchange.Keyed, name)
	})
}

// shareAuthorized reports whether a shared cache may store the response to a request with
// Authorization (RFC 9111 §3.5).
func (d *responseDirectives) shareAuthorized() bool {
	return d.Public || d.MustRevalidate || d.SMaxAge.Valid
}

// maxRequestExtra is how many bytes of header, apart from fields in the key and the variance, a
// request may have for its error response to be stored.
const maxRequestExtra = 8 << 10

// provokes reports whether a request with header h may have caused the error itself: it has control
// characters, or more than maxRequestExtra bytes of header. Such an error must not be served to
// other clients.
func (p *Policy) provokes(h, response http.Header) bool {
	keyed, _ := cirque.VaryFields(response)
	if p.Private {
		keyed = append(keyed, "Authorization", "Cookie")
	}
	return !field.ValidHeader(h) || headerSize(h, keyed) > maxRequestExtra
}

// meta returns the meta to store the response with.
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

// staleWindows returns how long the response may be served stale (RFC 5861). Configured windows
// apply only to responses with a lifetime: if an origin grants none, it wants to be asked. A server
// error whose lifetime is bounded gets no windows: windows that were meant for the page would
// exceed the bound.
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
// includes proxy-revalidate (§5.2.2.10); for a private cache, applicable has removed both. A
// response without any lifetime, explicit or heuristic, has no staleness that a client could accept
// with max-stale.
func (c *candidate) neverStale() bool {
	d, f := c.directives, c.freshness
	return d.MustRevalidate || d.ProxyRevalidate || d.SMaxAge.Present ||
		!f.Explicit && !f.Heuristic && !d.StaleWhileRevalidate.Present && !d.StaleIfError.Present
}

// trustsImmutable reports whether immutable is believed. A client should believe it only for an
// authenticated resource (RFC 8246 §3). A shared cache always does: its owner secures the way to
// the origin.
func (p *Policy) trustsImmutable(req *http.Request) bool {
	return !p.Private || TargetURI(req).Scheme == "https"
}

// final reports whether status is that of a final response (RFC 9110 §15).
func final(status int) bool { return 200 <= status && status <= 599 }

// understood reports whether this cache knows, and meets, the requirements of a final status on
// caches (RFC 9111 §3). It knows the statuses that RFC 9110 §15 defines.
func understood(status int) bool {
	switch {
	case status <= 206, 300 <= status && status <= 308, 400 <= status && status <= 417,
		status == 421, status == 422, status == 426, 500 <= status && status <= 505:
		return status != 305 && status != 306 // deprecated, and unused
	}
	return false
}
