package rules

import (
	"net/http"
	"strings"

	"github.com/cirquecache/cirque/cachecontrol"
	"github.com/cirquecache/cirque/internal/field"
)

// RequestCacheable reports whether req may be answered from a cache at all. Where it may not, it
// goes to the origin as it is and its answer is not stored; detail then says why, as a token for
// Cache-Status. A method other than GET and HEAD may still invalidate what is stored: see
// [Invalidates].
//
// It is to be asked before [RemoveConnectionFields], which drops Upgrade.
func (p *Policy) RequestCacheable(req *http.Request) (ok bool, detail string) {
	switch req.Method {
	case "", http.MethodGet, http.MethodHead:
	default:
		return false, "method" // RFC 9110 §9.2.3, RFC 9111 §4
	}
	switch {
	case overridesMethod(req.Header):
		return false, "method-override" // an origin that heeds it answers as if the method were another one
	case overridesTarget(req.Header):
		return false, "target-override"
	case hasContent(req):
		// What is sent with a GET has no defined meaning and is in no key (RFC 9110 §9.3.1).
		return false, "request-content"
	case len(req.Header["Upgrade"]) > 0:
		return false, "upgrade" // RFC 9110 §7.8
	case len(req.Header["If-Match"]) > 0 || len(req.Header["If-Unmodified-Since"]) > 0:
		// They are for the origin alone to evaluate (RFC 9111 §4.3.2), which it can only do if it
		// gets them.
		return false, "precondition"
	}
	return true, ""
}

// overridesMethod reports whether a request with header h has one of the fields by which clients
// ask for another method than the one they send. No RFC defines them, and many frameworks heed
// them.
func overridesMethod(h http.Header) bool {
	return len(h["X-Http-Method-Override"]) > 0 || len(h["X-Http-Method"]) > 0 || len(h["X-Method-Override"]) > 0
}

// overridesTarget reports whether a request with header h has one of the fields that name another
// target than its own, for servers that were told so by a rewriting in front of them. No RFC
// defines them either, some frameworks heed them, and any client can send them. Whose proxy sends
// them with every request has to remove them before the cache.
func overridesTarget(h http.Header) bool {
	return len(h["X-Original-Url"]) > 0 || len(h["X-Rewrite-Url"]) > 0
}

// hasContent reports whether req brings content. A server's request says so by its length, while
// its Body is never nil; RequestURI tells the two kinds apart.
func hasContent(req *http.Request) bool {
	if req.ContentLength != 0 { // -1 where it is not known, as with chunks
		return true
	}
	return req.RequestURI == "" && req.Body != nil && req.Body != http.NoBody
}

// RequestDirectives are the cache directives of one request. The zero value, which stands for none,
// costs nothing to make.
type RequestDirectives struct {
	cachecontrol.Request

	// Present reports that the request has directives.
	Present bool
}

// RequestDirectives reads the directives of a request with header h (RFC 9111 §5.2.1). Pragma:
// no-cache counts only where there is no Cache-Control (§5.4).
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
