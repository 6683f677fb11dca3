package rules

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/cirquecache/cirque/internal/field"
)

// IsUnsafe reports whether a request with this method may change something at the origin. That is
// every method except those that RFC 9110 §9.2.1 defines as safe; an unknown method is unsafe (RFC
// 9111 §4.4).
func IsUnsafe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// invalidating reports whether the method is unsafe and the response is not an error (RFC 9111
// §4.4).
func invalidating(req *http.Request, status int) bool {
	return IsUnsafe(req.Method) && 200 <= status && status <= 399
}

// Invalidates returns the URIs whose stored responses become invalid by a response to req with this
// status and header (RFC 9111 §4.4): first the target URI, then the URIs in Location and
// Content-Location that have the same origin. It returns nil if the method is safe or the response
// is an error. The URLs are absolute, and the caller may change them.
func Invalidates(req *http.Request, status int, h http.Header) []*url.URL {
	if !invalidating(req, status) {
		return nil
	}
	target := TargetURI(req)
	uris := []*url.URL{target}
	for _, name := range []string{"Location", "Content-Location"} {
		for _, line := range h[name] {
			uri := resolve(target, line)
			if uri == nil || !sameOrigin(uri, target) {
				continue
			}
			known := func(u *url.URL) bool { return u.String() == uri.String() }
			if !slices.ContainsFunc(uris, known) {
				uris = append(uris, uri)
			}
		}
	}
	return uris
}

// CacheGroups returns the groups that a response with header h belongs to (RFC 9875 §2), each once.
// If the field is not a List of Strings, or is longer than 64 KiB, it counts as absent. Groups
// after the 128th are left out.
//
// A group belongs to one origin: groups of two origins are different even if they have one name.
func CacheGroups(h http.Header) []string { return field.Groups(h["Cache-Groups"]) }

// InvalidatedGroups returns the groups of the request's origin whose stored responses become
// invalid by a response to req with this status and header (RFC 9875 §3). It returns nil if the
// method is safe or the response is an error. The invalidation does not spread: if an invalidated
// response belongs to other groups too, those stay valid.
func InvalidatedGroups(req *http.Request, status int, h http.Header) []string {
	if !invalidating(req, status) {
		return nil
	}
	return field.Groups(h["Cache-Group-Invalidation"])
}
