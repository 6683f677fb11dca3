package middleware

import (
	"net/http"
	"slices"
)

// reply is what the origin said before the body. It is only read.
type reply struct {
	status  int
	header  http.Header
	length  int64    // of the body, from Content-Length; negative where unknown
	decoded bool     // the transport took a content coding away
	changed []string // request fields that were added or replaced below the cache
}

// replyOf returns what response says.
func replyOf(response *http.Response) *reply {
	header := response.Header
	if !isCanonical(header) {
		header = canonicalHeader(header)
	}
	return &reply{
		status: response.StatusCode, header: header, length: response.ContentLength, decoded: response.Uncompressed,
	}
}

// changedHere are the fields that say nothing about the user if base's request has others than ours.
var changedHere = []string{"Accept-Encoding", "If-Modified-Since", "If-None-Match", "If-Range", "Range"}

// changedBelow returns the fields that a base transport added to the request, or replaced the values
// of, before it sent it on, as far as its response tells: a token of its own, or the cookies of a
// jar. A field that it took away does not count, as the origin cannot have gone by it. Nor do the
// fields that the cache itself changes, or Accept-Encoding, which is between the transport and the
// next hop. sent is the header of which the transport got a copy.
func changedBelow(sent http.Header, request *http.Request) (changed []string) {
	if request == nil {
		return nil // the transport does not tell
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

// canonical returns r with the names of its fields in canonical form, which is how the rules know
// them.
func canonical(r *http.Request) *http.Request {
	if isCanonical(r.Header) {
		return r
	}
	own := *r
	own.Header = canonicalHeader(r.Header)
	return &own
}

func isCanonical(header http.Header) bool {
	for name := range header {
		if !canonicalName(name) {
			return false
		}
	}
	return true
}

// canonicalName reports whether http.CanonicalHeaderKey leaves name as it is.
func canonicalName(name string) bool {
	return plainlyCanonical(name) || http.CanonicalHeaderKey(name) == name
}

// plainlyCanonical reports whether name's letters are upper case where a word begins, and lower case
// elsewhere. Then http.CanonicalHeaderKey changes nothing, whether name is the name of a field or
// not. It is called for every field of every request.
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
// ("ETag" is common) are one field on the wire, and become one here.
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
			s[name] = nil // stays suppressed
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
