package rules

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// hopByHop lists the fields that always concern one connection only, even where Connection does not
// list them (RFC 9110 §7.6.1).
var hopByHop = []string{
	"Connection", "Http2-Settings", "Keep-Alive", "Proxy-Connection", "Te", "Transfer-Encoding", "Upgrade",
}

// RemoveConnectionFields deletes from h the fields that concern only the connection on which the
// message came: Connection, the fields that Connection lists, and the fields that are hop-by-hop by
// definition (RFC 9110 §7.6.1). For a request, call it before anything is computed from the fields.
// Otherwise a client could make the cache use a field that the origin never receives.
//
// Age, Cache-Control, Date, Expires, Vary and targeted fields stay even if Connection lists them. A
// sender must not list a field that is meant for all recipients, and a response without its Vary or
// its no-store would be served to the wrong clients.
//
// stripped reports whether a field was deleted only because Connection lists it. See
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

// meantForAll reports whether a field is for every recipient, so that Connection must not list it.
func meantForAll(name string) bool {
	switch name {
	case "Age", "Cache-Control", "Date", "Expires", "Vary":
		return true
	}
	return strings.HasSuffix(name, "-Cache-Control") // RFC 9213 §2.4
}

// notStored lists fields that are passed to this client but never stored: fields between a client
// and a proxy (RFC 9111 §3.1), and Trailer, because trailers are not stored.
var notStored = []string{"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Trailer"}

// StoredHeader returns the fields of a response's header h that may be stored (RFC 9111 §3.1): all
// but those of [RemoveConnectionFields], those that concern only a proxy, Trailer and trailers, and
// those named by except in canonical form. The result is a new map; it shares the value slices of
// h.
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

// storableWhole reports whether StoredHeader would keep every field.
func storableWhole(h http.Header) bool {
	for name, lines := range h {
		if unstorable(name, lines) {
			return false
		}
	}
	return true
}

// unstorable reports whether a field is never stored. Connection is one, so storableWhole is false
// for a header in which Connection lists others.
func unstorable(name string, lines []string) bool {
	// net/http puts trailers that were not announced under names with a prefix.
	return len(lines) == 0 || slices.Contains(hopByHop, name) || slices.Contains(notStored, name) ||
		strings.HasPrefix(name, http.TrailerPrefix)
}

// headerSize returns how many bytes h takes in HTTP/1.1, without the fields named by except.
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
