package cirque

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/field"
)

func TestHeaderSectionRoundTrip(t *testing.T) {
	for name, h := range map[string]http.Header{
		"empty":         {},
		"one line":      lines("A: 1"),
		"several lines": lines("B: 1", "A: 2", "B: 3", "C:", "B: 1"),
		"odd names":     {"x-lower": {"1"}, "X_y!#$%&'*+.^`|~": {"2"}},
		"long":          lines("A: "+strings.Repeat("x", 1<<16), "B: "+strings.Repeat("y", 127), "C: "+strings.Repeat("z", 128)),
		"many": func() http.Header {
			h := http.Header{}
			for i := range 300 {
				h.Add(fmt.Sprint("X", i), fmt.Sprint(i))
			}
			return h
		}(),
		"bytes above 127": lines("A: \x80\xff"),
		"tabs and spaces": lines("A: a\t b"),
	} {
		section := packHeader(h)
		require.NoError(t, section.check(), name)
		require.Equal(t, h, section.Header(), name)
		n := 0
		for field, values := range h {
			n += len(values)
			require.Equal(t, values, section.Values(field), name)
			require.Equal(t, values[0], section.Get(field), name)
			require.True(t, section.Has(field), name)
		}
		require.Equal(t, n, section.Len(), name)
		require.Equal(t, n == 0, section.Size() == 0, name)
		require.False(t, section.Has("Absent"), name)
		require.Empty(t, section.Get("Absent"), name)
		require.Nil(t, section.Values("Absent"), name)
	}
}

func TestHeaderSectionOfEqualHeadersIsEqual(t *testing.T) {
	h := lines("B: 1", "A: 2", "C: 3", "A: 1")
	for range 20 {
		require.Equal(t, packHeader(h), packHeader(h.Clone()))
	}
	var names []string
	for name, value := range packHeader(h).All() {
		names = append(names, name+"="+value)
	}
	require.Equal(t, []string{"A=2", "A=1", "B=1", "C=3"}, names)
	for range packHeader(h).All() {
		break
	}
}

func TestHeaderSectionLeavesOutSuppressedFields(t *testing.T) {
	require.Equal(t, HeaderSection{}, packHeader(http.Header{"Date": nil, "Server": {}}))
	require.Equal(t, packHeader(lines("A: 1")), packHeader(http.Header{"A": {"1"}, "Date": nil}))
}

func TestHeaderSectionCopyTo(t *testing.T) {
	dst := lines("A: old", "A: older", "D: 4")
	packHeader(lines("A: 1", "B: 2", "B: 3", "C: 5")).CopyTo(dst)
	require.Equal(t, lines("A: 1", "B: 2", "B: 3", "C: 5", "D: 4"), dst)

	dst.Add("A", "more")
	require.Equal(t, []string{"2", "3"}, dst["B"], "an append must not overwrite the next field's values")

	packHeader(http.Header{}).CopyTo(dst)
	require.Len(t, dst, 4)
}

func TestHeaderSectionRefusesDamage(t *testing.T) {
	line := func(name, value string) string {
		return string(appendString(appendString(nil, name), value))
	}
	require.NoError(t, HeaderSection{"\x02" + line("A", "1") + line("B", "")}.check())
	for name, packed := range map[string]string{
		"a line missing":       "\x02" + line("A", "1"),
		"a line too many":      "\x01" + line("A", "1") + line("B", "2"),
		"cut":                  ("\x01" + line("A", "12"))[:4],
		"no value":             "\x01" + string(appendString(nil, "A")),
		"a length too large":   "\x01\x7fA",
		"an endless number":    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"an endless length":    "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"a number that is cut": "\x80",
		"CR and LF in a value": "\x01" + line("A", "1\r\nSet-Cookie: b"),
		"LF in a value":        "\x01" + line("A", "1\n2"),
		"NUL in a value":       "\x01" + line("A", "1\x00"),
		"a control character":  "\x01" + line("A", "\x1b"),
		"LF in a name":         "\x01" + line("A\n", "1"),
		"a colon in a name":    "\x01" + line("A:", "1"),
		"a space in a name":    "\x01" + line("A B", "1"),
		"no name":              "\x01" + line("\x00\x00", "1")[1:],
		"an unknown name":      "\x01" + line("\x00\xff", "1")[1:],
		"half a known name":    "\x01\x00",
	} {
		require.ErrorIs(t, HeaderSection{packed}.check(), errBadHeader, name)
	}
}

func FuzzHeaderSection(f *testing.F) {
	f.Add("A", "1", "B", "2", packHeader(lines("A: 1")).packed)
	f.Add("A", "1", "A", "2", "\x01\x01A\x02\r\n")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, packed string) {
		h := http.Header{name1: {value1}}
		h[name2] = append(slices.Clone(h[name2]), value2)
		section := packHeader(h)
		require.Equal(t, h, section.Header())
		require.Equal(t, field.ValidHeader(h), section.check() == nil, "check accepts exactly what can be sent")

		if section := (HeaderSection{packed}); section.check() == nil {
			for name, values := range section.Header() {
				require.True(t, field.ValidName(name))
				for _, value := range values {
					require.NotContains(t, value, "\n")
					require.NotContains(t, value, "\r")
				}
			}
			require.LessOrEqual(t, section.Len(), len(packed))
		}
	})
}

func BenchmarkHeaderSectionCopyTo(b *testing.B) {
	section := packHeader(lines("Cache-Control: public, max-age=60", "Content-Type: text/html", `ETag: "abc"`, "Last-Modified: "+at(-day),
		"Date: "+at(0), "Vary: Accept-Encoding", "Server: x", "Content-Length: 1000"))
	dst := make(http.Header, section.Len())
	b.ReportAllocs()
	for b.Loop() {
		section.CopyTo(dst)
	}
}
