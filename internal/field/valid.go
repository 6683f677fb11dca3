package field

import "net/http"

// ValidName reports whether s is a token (RFC 9110 §5.1 and §5.6.2).
func ValidName(s string) bool {
	for i := range len(s) {
		if !tokenBytes[s[i]] {
			return false
		}
	}
	return s != ""
}

// tokenBytes holds the tchar of RFC 9110 §5.6.2.
var tokenBytes = func() (t [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		t[c] = true
	}
	return t
}()

// ValidValue reports whether s has no control character except HTAB. That covers the
// characters that RFC 9110 §5.5 calls dangerous.
func ValidValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// ValidHeader reports whether every line of h can be sent as it is.
func ValidHeader(h http.Header) bool {
	for name, lines := range h {
		if !ValidName(name) {
			return false
		}
		for _, line := range lines {
			if !ValidValue(line) {
				return false
			}
		}
	}
	return true
}
