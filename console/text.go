package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is the length of the longest text from a client that is kept, in bytes.
const maxText = 400

// plain returns s as text that shows what it is, as visible does. A text of more than maxText bytes
// is cut. whole reports that nothing was changed.
func plain(s string) (text string, whole bool) {
	if len(s) <= maxText {
		return visible(s)
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	text, _ = visible(s[:end])
	return text + "…", false
}

// visible returns s with escapes, such as \u202e, in place of control characters, of bytes that are
// not UTF-8, and of characters that change the direction of text or have no width. same reports
// that there are none.
func visible(s string) (text string, same bool) {
	if isPlain(s) {
		return s, true
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case isHidden(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), false
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return utf8.ValidString(s) && strings.IndexFunc(s, isHidden) < 0
		}
	}
	return true
}

// isHidden reports whether r is not a visible character, or changes how others appear.
func isHidden(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r) ||
		r != ' ' && unicode.IsSpace(r)
}
