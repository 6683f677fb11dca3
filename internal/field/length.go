package field

import (
	"net/http"
	"strconv"
)

// Length returns the Content-Length of h, or -1 if h has none that is valid: one line of digits
// (RFC 9110 §8.6).
func Length(h http.Header) int64 {
	lines := h["Content-Length"]
	if len(lines) != 1 {
		return -1
	}
	text := TrimOWS(lines[0])
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return -1
	}
	return int64(n)
}
