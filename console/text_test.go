package console

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestTextFromClientsIsPlain(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "",
		"http://a.example/b?c=d&e":      "http://a.example/b?c=d&e",
		"/käse/日本":                      "/käse/日本",
		"<script>alert(1)</script>":     "<script>alert(1)</script>", // shown as text by the page
		"a\x00b\nc\td\x7f":              `a\u0000b\u000ac\u0009d\u007f`,
		"\u202egpj.exe":                 `\u202egpj.exe`,
		"a\u2066b\u2069c\u200fd\u061ce": `a\u2066b\u2069c\u200fd\u061ce`,
		"zero\u200bwidth\ufeff":         `zero\u200bwidth\ufeff`,
		"e\u0301\u0301\u0301":           `e\u0301\u0301\u0301`, // marks that pile up
		"no\u00a0break\u2028line":       `no\u00a0break\u2028line`,
		"bad\xff\xfeutf8":               `bad\xff\xfeutf8`,
		"\uFFFD itself":                 "\uFFFD itself",
		"\U000E0041tag":                 `\ue0041tag`,
	} {
		got, whole := plain(text)
		require.Equal(t, want, got)
		require.Equal(t, got == text, whole, "%q", text)
	}
	got, whole := plain(strings.Repeat("x", maxText))
	require.True(t, whole)
	require.Len(t, got, maxText)
	for _, long := range []string{strings.Repeat("x", maxText+1), strings.Repeat("日", maxText), strings.Repeat("\u202e", maxText)} {
		got, whole := plain(long)
		require.False(t, whole)
		require.True(t, strings.HasSuffix(got, "…"))
		require.LessOrEqual(t, len(got), 6*maxText)
		require.True(t, utf8.ValidString(got))
	}
}
