package rules

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// hopByHop are the fields that concern one connection only, whether Connection lists them or not
// (RFC 9110 §7.6.1).
var hopByHop = []string{
	"Connection", "Http2-Settings", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
}

// RemoveConnectionFields deletes from h the fields that concern only the connection it came over:
// Connection, what Connection lists, and the fields known to be of that kind (RFC 9110 §7.6.1). Of
// a request it is to be called before anything is computed from the fields, or a client could have
// one dropped upstream that the cache went by.
//
// Age, Cache-Control, Date, Expires, Vary and targeted fields stay even where Connection lists
// them: a sender must not list what is meant for all recipients, and a response without its Vary or
// its no-store would be served to those it was not meant for.
//
// It reports whether Connection took a field away that is not known to be of that kind: see
// [Exchange.Stripped].
func RemoveConnectionFields(h http.Header) (stripped bool) {
	listed := h["Connection"]
	for _, name := range hopByHop {
		delete(h, name)
	}
	for option := range field.Tokens(listed) {
		name := http.CanonicalHeaderKey(option)
		if _, there := h[name]; there && !meantForAll(name) {
			delete(h, name)
			stripped = true
		}
	}
	return stripped
}

func meantForAll(name string) bool {
	switch name {
	case "Age", "Cache-Control", "Date", "Expires", "Vary":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control") // RFC 9213 §2.4
}

// notStored are the fields that are not stored though they reach the client of the moment: they are
// between it and a proxy (RFC 9111 §3.1), or announce trailers, which are not stored either.
var notStored = []string{"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Trailer"}

// StoredHeader returns the part of a response's header that may be stored (RFC 9111 §3.1), as a map
// of its own that shares the value slices of h: everything but the fields of
// [RemoveConnectionFields], those that only concern a proxy, and except.
func StoredHeader(h http.Header, except ...string) http.Header {
	stored := maps.Clone(h)
	if stored == nil {
		stored = make(http.Header)
	}
	RemoveConnectionFields(stored)
	maps.DeleteFunc(stored, unstorable)
	for _, name := range except {
		delete(stored, name)
	}
	return stored
}

// storableWhole reports whether StoredHeader would leave nothing out.
func storableWhole(h http.Header) bool {
	for name, lines := range h {
		if unstorable(name, lines) {
			return false
		}
	}
	return true
}

// unstorable reports whether a field is never stored. Connection is such a field.
func unstorable(name string, lines []string) bool {
	// net/http keeps trailers that were not announced under names with a prefix.
	return len(lines) == 0 || slices.Contains(hopByHop, name) || slices.Contains(notStored, name) ||
		strings.HasPrefix(name, http.TrailerPrefix)
}

// headerSize returns the bytes that h takes in HTTP/1.1, apart from the fields named by except.
func headerSize(h http.Header, except []string) int {
	size := 0
	for name, lines := range h {
		if slices.Contains(except, name) {
			continue
		}
		for _, line := range lines {
			size += len(name) + len(": ") + len(line) + len("\r\n")
		}
	}
	return size
}
