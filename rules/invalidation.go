package rules

import (
	"net/http"
	"net/url"
	"slices"

	"github.com/cirquecache/cirque/internal/field"
)

// IsUnsafe reports whether a request with this method may change something at the origin: every
// method but those that RFC 9110 §9.2.1 defines to be safe, unknown ones included (RFC 9111 §4.4).
func IsUnsafe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// invalidating: the method is unsafe and the response no error (RFC 9111 §4.4).
func invalidating(req *http.Request, status int) bool {
	return IsUnsafe(req.Method) && 200 <= status && status <= 399
}

// Invalidates returns the URIs whose stored responses a response with this status and header
// invalidates (RFC 9111 §4.4): the target URI first, then those that Location and Content-Location
// refer to, if they are of the same origin. It returns nil unless the method is unsafe and the
// response no error. The URLs are absolute and the caller's.
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
// A field that is no List of Strings, or longer than 64 KiB, counts as absent. Groups beyond the
// 128th are left out.
//
// Groups of different origins are different, whatever their names.
func CacheGroups(h http.Header) []string { return field.Groups(h["Cache-Groups"]) }

// InvalidatedGroups returns the groups, of the request's origin, whose stored responses a response
// with this status and header invalidates (RFC 9875 §3). It returns nil unless the method is unsafe
// and the response no error. Invalidation goes no further: the groups of what it hits are not
// invalidated in turn.
func InvalidatedGroups(req *http.Request, status int, h http.Header) []string {
	if !invalidating(req, status) {
		return nil
	}
	return field.Groups(h["Cache-Group-Invalidation"])
}
