package field

import (
	"iter"
	"strings"
)

// Tokens yields the elements of the list that the lines form, without the whitespace around them.
// Empty elements are left out (RFC 9110 §5.6.1.2).
func Tokens(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for element := range strings.SplitSeq(line, ",") {
				if element = TrimOWS(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// TrimOWS removes optional whitespace (RFC 9110 §5.6.3) from both ends of s.
func TrimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Contains reports whether the list has the token, in upper or lower case.
func Contains(lines []string, token string) bool {
	for element := range Tokens(lines) {
		if strings.EqualFold(element, token) {
			return true
		}
	}
	return false
}
