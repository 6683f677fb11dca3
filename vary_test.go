package cirque

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// See RFC 9110 §12.5.5.
func TestVaryFields(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
		star  bool
	}{
		"none":            {nil, nil, false},
		"empty":           {[]string{"Vary:"}, nil, false},
		"canonical":       {[]string{"Vary: accept-ENCODING"}, []string{"Accept-Encoding"}, false},
		"sorted, unique":  {[]string{"Vary: b,a , B"}, []string{"A", "B"}, false},
		"over lines":      {[]string{"Vary: b", "Vary: ,, a"}, []string{"A", "B"}, false},
		"star":            {[]string{"Vary: *"}, nil, true},
		"star behind":     {[]string{"Vary: a, *"}, []string{"A"}, true},
		"star in line 2":  {[]string{"Vary: a", "Vary: *"}, []string{"A"}, true},
		"no quoting here": {[]string{`Vary: "a, *"`}, []string{`"a`, `*"`}, false},
	} {
		fields, star := VaryFields(lines(c.lines...))
		require.Equal(t, c.want, fields, name)
		require.Equal(t, c.star, star, name)
	}
}

func varianceOf(t *testing.T, fields []string, h http.Header, epoch uint64) HashBinary {
	t.Helper()
	hash, ok := VaryVariance(fields, h, epoch).Finalize()
	require.True(t, ok, "a variant must never fall into the primary slot")
	require.False(t, hash.IsZero())
	return hash
}

// The headers of a class match one another, and none of another class (RFC 9111 §4.1).
func TestFieldsMatchByteForByte(t *testing.T) {
	for field, classes := range map[string][][]http.Header{
		"Foo": {
			{lines(), lines("Bar: 1"), {"Foo": nil}},
			{lines("Foo:")},
			{lines("Foo: 1"), lines("Foo: 1", "Bar: 2")},
			{lines("Foo: 1,2")},
			{lines("Foo: 1, 2")},
			{lines("Foo: 1", "Foo: 2")},
			{lines("Foo: 2", "Foo: 1")},
			{lines("Foo: 1 ,2")},
			{lines("Foo: 2,1")},
			{lines("Foo: 12")},
			{lines("Foo: 1 2")},
			{lines("Foo: 1  2")},
			{lines("Foo: a")},
			{lines("Foo: A")},
			{lines(`Foo: "1, 2"`)},
			{lines("Foo: 1", "Foo:")},
			{lines("Foo: 1,")},
			{{"Foo": {"\x00\x011\x012"}}}, // how two lines are told from one
		},
		// An origin may answer each order, case or spelling differently.
		"Accept-Language": {
			{lines()},
			{lines("Accept-Language:")},
			{lines("Accept-Language: en, de")},
			{lines("Accept-Language: de, en")},
			{lines("Accept-Language: EN, de")},
			{lines("Accept-Language: en,de")},
			{lines("Accept-Language: en, de;q=1.0")},
			{lines("Accept-Language: en", "Accept-Language: de")},
			{lines("Accept-Language: en")},
		},
		"Accept-Encoding": {
			{lines("Accept-Encoding: gzip, br")},
			{lines("Accept-Encoding: br, gzip")},
			{lines("Accept-Encoding: gzip, br, zstd;q=0")},
			{lines("Accept-Encoding: x-gzip, br")},
		},
		"Cookie": {
			{lines("Cookie: a=1, b")},
			{lines("Cookie: a=1", "Cookie: b")},
			{lines("Cookie: a=1,b")},
		},
	} {
		classOf := map[HashBinary]int{}
		for i, class := range classes {
			want := varianceOf(t, []string{field}, class[0], 1)
			require.NotContains(t, classOf, want, "%v matches another class", class[0])
			classOf[want] = i
			for _, h := range class {
				before := h.Clone()
				require.Equal(t, want, varianceOf(t, []string{field}, h, 1), "%v does not match %v", h, class[0])
				require.Equal(t, before, h, "the header is not changed")
			}
		}
	}
}

func TestVarianceOfSeveralFields(t *testing.T) {
	fields := []string{"A", "B"}
	seen := map[HashBinary]bool{}
	for _, h := range []http.Header{
		lines(), lines("A: 1"), lines("B: 1"), lines("A: 1", "B: 1"), lines("A: 1", "B: 2"), lines("A: 2", "B: 1"), lines("A:"), lines("B:"),
	} {
		hash := varianceOf(t, fields, h, 1)
		require.False(t, seen[hash], "%v", h)
		seen[hash] = true
	}
	require.Equal(t, varianceOf(t, fields, lines("A: 1"), 1), varianceOf(t, fields, lines("A: 1", "C: 3"), 1), "only what Vary names counts")
}

func TestVarianceChangesWithTheEpoch(t *testing.T) {
	h := lines("A: 1")
	require.NotEqual(t, varianceOf(t, []string{"A"}, h, 1), varianceOf(t, []string{"A"}, h, 2))
	require.NotEqual(t, varianceOf(t, nil, h, 1), varianceOf(t, nil, h, 2))
}

// Different lists of lines have different values.
func FuzzJoinLines(f *testing.F) {
	f.Add("a, b", "c", "a, b", "c", byte(2), byte(2))
	f.Add("\x00\x01a", "", "a", "", byte(1), byte(2))
	f.Add("a", "b", "ab", "", byte(2), byte(1))
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string, n, m byte) {
		a, b := []string{a1, a2}[:1+n%2], []string{b1, b2}[:1+m%2]
		require.Equal(t, slices.Equal(a, b), joinLines(a) == joinLines(b), "%q and %q", a, b)
	})
}

func BenchmarkVaryVariance(b *testing.B) {
	h := lines("Accept-Encoding: gzip, deflate, br, zstd", "Accept-Language: en-US,en;q=0.9,de;q=0.8")
	for name, fields := range map[string][]string{
		"encoding": {"Accept-Encoding"},
		"both":     {"Accept-Encoding", "Accept-Language"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				VaryVariance(fields, h, 1).Finalize()
			}
		})
	}
}

// Each lookup has to go through all fields that a stored response varies on, so they are bounded.
func TestVaryOnTooManyFieldsMatchesNothing(t *testing.T) {
	var names []string
	for n := range 64 {
		names = append(names, fmt.Sprint("X-", n))
	}
	fields, star := VaryFields(http.Header{"Vary": {strings.Join(names, ","), "x-1, X-2"}})
	require.Len(t, fields, 64)
	require.False(t, star)
	_, star = VaryFields(http.Header{"Vary": {strings.Join(names, ","), "x-64"}})
	require.True(t, star)
}
