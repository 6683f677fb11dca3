package rules

import (
	"net/http"
	"strings"

	"github.com/cirquecache/cirque/cachecontrol"
	"github.com/cirquecache/cirque/internal/field"
)

// RequestCacheable reports whether req may be answered from a cache at all. If not, the caller must
// send it to the origin unchanged and must not store the answer; detail is the reason, as a token
// for Cache-Status. A method other than GET and HEAD may still invalidate stored responses: see
// [Invalidates].
//
// Call it before [RemoveConnectionFields], which deletes Upgrade.
func (p *Policy) RequestCacheable(req *http.Request) (ok bool, detail string) {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
	default:
		return false, "method" // RFC 9110 §9.2.3, RFC 9111 §4
	}
	switch {
	case overridesMethod(req.Header):
		return false, "method-override" // the origin may answer as if the method were another one
	case overridesTarget(req.Header):
		return false, "target-override"
	case hasContent(req):
		// The content of a GET has no defined meaning and is not in the key (RFC 9110 §9.3.1).
		return false, "request-content"
	case len(req.Header["Upgrade"]) > 0:
		return false, "upgrade" // RFC 9110 §7.8
	case len(req.Header["If-Match"]) > 0 || len(req.Header["If-Unmodified-Since"]) > 0:
		// Only the origin evaluates them (RFC 9111 §4.3.2), so it must get the request.
		return false, "precondition"
	}
	return true, ""
}

// overridesMethod reports whether a request with header h has a field that asks for another method
// than that of the request line. No RFC defines these fields, and many frameworks obey them.
func overridesMethod(h http.Header) bool {
	return len(h["X-Http-Method-Override"]) > 0 || len(h["X-Http-Method"]) > 0 || len(h["X-Method-Override"]) > 0
}

// overridesTarget reports whether a request with header h has a field that names another target
// than that of the request line. A rewriting proxy sends such fields to the server behind it. No
// RFC defines them, some frameworks obey them, and any client can send them. If a proxy adds them
// to every request, they must be removed in front of the cache.
func overridesTarget(h http.Header) bool {
	return len(h["X-Original-Url"]) > 0 || len(h["X-Rewrite-Url"]) > 0
}

// hasContent reports whether req has content. For a server's request the length says so, because
// its Body is never nil; for a client's request the Body counts too. Only a server's request has a
// RequestURI.
func hasContent(req *http.Request) bool {
	if req.ContentLength != 0 { // -1 if it is unknown, as with chunks
		return true
	}
	return req.RequestURI == "" && req.Body != nil && req.Body != http.NoBody
}

// RequestDirectives are the cache directives of one request. The zero value means none, and making
// it allocates nothing.
type RequestDirectives struct {
	cachecontrol.Request

	// Present reports that the request has directives.
	Present bool
}

// RequestDirectives reads the directives of a request with header h (RFC 9111 §5.2.1). Pragma:
// no-cache counts only if there is no Cache-Control (§5.4).
func (p *Policy) RequestDirectives(h http.Header) RequestDirectives {
	if lines := h["Cache-Control"]; len(lines) > 0 {
		return RequestDirectives{cachecontrol.ParseRequest(lines, p.options()), true}
	}
	if lines := h["Pragma"]; len(lines) > 0 {
		for directive := range field.Tokens(lines) {
			if strings.EqualFold(directive, "no-cache") {
				return RequestDirectives{cachecontrol.Request{NoCache: true}, true}
			}
		}
	}
	return RequestDirectives{}
}
