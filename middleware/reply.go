package middleware

import (
	"net/http"
	"slices"
)

// reply is what the origin sent before the body. It is never changed.
type reply struct {
	status  int
	header  http.Header
	length  int64    // of the body, from Content-Length; negative if unknown
	decoded bool     // the transport has removed a content coding
	changed []string // request fields that the base transport added or replaced
}

// replyOf returns the reply that response is.
func replyOf(response *http.Response) *reply {
	header := response.Header
	if !isCanonical(header) {
		header = canonicalHeader(header)
	}
	return &reply{
		status: response.StatusCode, header: header, length: response.ContentLength, decoded: response.Uncompressed,
	}
}

// changedHere are fields that the cache itself changes, or that say nothing about the user. It does
// not matter if the base's request has other values for them.
var changedHere = []string{"Accept-Encoding", "If-Modified-Since", "If-None-Match", "If-Range", "Range"}

// changedBelow returns the request fields that the base transport added, or replaced the values of,
// as far as its response shows: a token of its own, or the cookies of a jar. Fields that it removed
// do not count, because the origin cannot have used them. The fields in changedHere do not count
// either. sent is the header of which the transport got a copy.
func changedBelow(sent http.Header, request *http.Request) (changed []string) {
	if request == nil {
		return nil // the transport does not show it
	}
	header := request.Header // only read
	if !isCanonical(header) {
		header = canonicalHeader(header)
	}
	for name, values := range header {
		if len(values) > 0 && !slices.Equal(values, sent[name]) && !slices.Contains(changedHere, name) {
			changed = append(changed, name)
		}
	}
	return changed
}

// canonical returns r with the names of its fields in canonical form, which the rules need.
func canonical(r *http.Request) *http.Request {
	if isCanonical(r.Header) {
		return r
	}
	own := *r
	own.Header = canonicalHeader(r.Header)
	return &own
}

// isCanonical reports whether all names in header are canonical.
func isCanonical(header http.Header) bool {
	for name := range header {
		if !canonicalName(name) {
			return false
		}
	}
	return true
}

// canonicalName reports whether http.CanonicalHeaderKey leaves name unchanged.
func canonicalName(name string) bool {
	return plainlyCanonical(name) || http.CanonicalHeaderKey(name) == name
}

// plainlyCanonical reports whether the letters of name are upper case where a word begins, and
// lower case elsewhere. Then http.CanonicalHeaderKey changes nothing, even if name is no valid
// field name. It is called for every field of every request, so it is cheap.
func plainlyCanonical(name string) bool {
	wrong := byte('a') // the first letter of the case that is out of place
	for i := range len(name) {
		c := name[i]
		if wrong <= c && c <= wrong+('z'-'a') {
			return false
		}
		if wrong = 'A'; c == '-' {
			wrong = 'a'
		}
	}
	return true
}

// canonicalHeader returns a copy of header with canonical names. Names that differ only in case
// ("ETag" is common) are one field in HTTP, and become one here.
func canonicalHeader(header http.Header) http.Header {
	lines := 0
	for _, values := range header {
		lines += len(values)
	}
	s, room := make(http.Header, len(header)), make([]string, 0, lines)
	var odd []string
	for name, values := range header {
		switch {
		case !canonicalName(name):
			odd = append(odd, name)
		case len(values) == 0:
			s[name] = nil // nil tells net/http not to set the field
		default:
			from := len(room)
			room = append(room, values...)
			s[name] = room[from:len(room):len(room)]
		}
	}
	for _, name := range odd {
		canonical := http.CanonicalHeaderKey(name)
		s[canonical] = append(s[canonical], header[name]...)
	}
	return s
}
