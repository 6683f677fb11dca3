package rules

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

type ranges = []ByteRange

// RFC 9110 §14.1.2 and §14.2.
func TestParseRange(t *testing.T) {
	const huge = "99999999999999999999"
	for value, want := range map[string]ranges{
		"bytes=0-499":                    {{0, 500}},
		"bytes=500-999":                  {{500, 1000}},
		"bytes=-500":                     {{9500, 10000}},
		"bytes=9500-":                    {{9500, 10000}},
		"bytes=0-0,-1":                   {{0, 1}, {9999, 10000}},
		"bytes= 0-999, 4500-5499, -1000": {{0, 1000}, {4500, 5500}, {9000, 10000}},
		"bytes=0-":                       {{0, 10000}},
		"bytes=0-9999":                   {{0, 10000}},
		"bytes=0-10000":                  {{0, 10000}},
		"bytes=0-" + huge:                {{0, 10000}},
		"bytes=-" + huge:                 {{0, 10000}},
		"bytes=-10000":                   {{0, 10000}},
		"bytes=9999-9999":                {{9999, 10000}},
		"BYTES=5-5":                      {{5, 6}},
		" bytes=5-5 ":                    {{5, 6}},
		"bytes=,5-5,,":                   {{5, 6}},
		"bytes=007-7":                    {{7, 8}},
		"bytes=5-5,10000-":               {{5, 6}}, // unsatisfiable ranges are left out
		"bytes=" + huge + "-,5-5":        {{5, 6}},

		// Overlapping and adjacent ranges become one. The client's order stays.
		"bytes=500-600,601-999":       {{500, 1000}},
		"bytes=500-700,601-999":       {{500, 1000}},
		"bytes=601-999,500-600":       {{500, 1000}},
		"bytes=5-5,5-5":               {{5, 6}},
		"bytes=5-5,7-7":               {{5, 6}, {7, 8}},
		"bytes=7-7,5-5":               {{7, 8}, {5, 6}},
		"bytes=9-9,1-1,5-5,0-6":       {{9, 10}, {0, 7}},
		"bytes=1-1,9-9,5-5,0-10":      {{0, 11}},
		"bytes=20-29,0-9,40-49,10-19": {{0, 30}, {40, 50}},
		"bytes=40-49,20-29,0-9,10-19": {{40, 50}, {0, 30}},
		"bytes=0-9,20-29,10-12":       {{0, 13}, {20, 30}},
		"bytes=0-9,20-29,5-25,-1":     {{0, 30}, {9999, 10000}},
	} {
		got, verdict := ParseRange(value, 10000)
		require.Equal(t, RangeSatisfiable, verdict, value)
		require.Equal(t, want, got, value)
	}
}

func TestParseRangeUnsatisfiable(t *testing.T) {
	for _, value := range []string{"bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999-", "bytes=10000-,-0"} {
		got, verdict := ParseRange(value, 10000)
		require.Equal(t, RangeUnsatisfiable, verdict, value)
		require.Nil(t, got)
	}
}

func TestParseRangeIgnoresInvalidFields(t *testing.T) {
	for _, value := range []string{
		"", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5", "bytes=a-", "bytes=-a", "bytes=1-a", "bytes=2-1", "bytes=0-1,2-1",
		"bytes=0-1;2-3", "bytes=1--2", "bytes=--1", "bytes=+1-2", "bytes=1 - 2", "bytes = 0-1", "bytes:0-1", "items=0-1", "bytes=0-1,x",
		"bytes=0x1-2", "bytes=1.0-2", "bytes=2-1,99999-", "bytes=99999999999999999999-1",
	} {
		got, verdict := ParseRange(value, 10000)
		require.Equal(t, RangeNone, verdict, value)
		require.Nil(t, got, value)
	}
	got, verdict := ParseRange("bytes=0-0", 1)
	require.Equal(t, RangeSatisfiable, verdict)
	require.Equal(t, ranges{{0, 1}}, got)
	for _, value := range []string{"bytes=0-", "bytes=-1", "bytes=5-"} {
		_, verdict = ParseRange(value, 0)
		require.Equal(t, RangeNone, verdict, "an empty representation has no ranges")
	}
}

func TestParseRangeIgnoresMoreThan16Ranges(t *testing.T) {
	_, verdict := ParseRange("bytes="+strings.Repeat("0-0,", 16), 10000)
	require.Equal(t, RangeSatisfiable, verdict)
	for _, one := range []string{"0-0,", "0-,", "10000-,"} { // one-byte, overlapping, unsatisfiable
		for _, n := range []int{17, 1000, 100_000} {
			_, verdict = ParseRange("bytes="+strings.Repeat(one, n), 10000)
			require.Equal(t, RangeNone, verdict)
		}
	}
}

func FuzzParseRange(f *testing.F) {
	f.Add("bytes=0-0,-1", int64(10))
	f.Add("bytes=5-7,1-2,3-4", int64(8))
	f.Add("bytes=9223372036854775807-", int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, value string, size int64) {
		got, verdict := ParseRange(value, size)
		require.Equal(t, verdict == RangeSatisfiable, len(got) > 0)
		require.LessOrEqual(t, len(got), maxRanges)
		for i, r := range got {
			require.True(t, 0 <= r.Start && r.Start < r.End && r.End <= size, "%v of %d", r, size)
			for _, o := range got[:i] {
				require.False(t, r.touches(o), "%v and %v should be one range", r, o)
			}
			// The fields made from r must parse to r.
			parsed, of, ok := ParseContentRange(ContentRange(r, size))
			require.True(t, ok)
			require.Equal(t, size, of)
			require.Equal(t, r, parsed)
			again, verdict := ParseRange(RangeField(r), size)
			require.Equal(t, RangeSatisfiable, verdict)
			require.Equal(t, ranges{r}, again)
		}
	})
}

// RFC 9110 §14.4.
func TestContentRange(t *testing.T) {
	require.Equal(t, "bytes 42-1233/1234", ContentRange(ByteRange{42, 1234}, 1234))
	require.Equal(t, "bytes 42-1233/*", ContentRange(ByteRange{42, 1234}, -1))
	require.Equal(t, "bytes */1234", UnsatisfiedRange(1234))
	require.Equal(t, "bytes=42-1233", RangeField(ByteRange{42, 1234}))

	for value, want := range map[string]struct {
		r    ByteRange
		size int64
	}{
		"bytes 42-1233/1234": {ByteRange{42, 1234}, 1234},
		"Bytes 42-1233/*":    {ByteRange{42, 1234}, -1},
		"bytes 0-0/1":        {ByteRange{0, 1}, 1},
	} {
		r, size, ok := ParseContentRange(value)
		require.True(t, ok, value)
		require.Equal(t, want.r, r, value)
		require.Equal(t, want.size, size, value)
	}
	for _, value := range []string{
		"", "bytes", "bytes ", "bytes */1234", "bytes 0-1", "bytes 0-1/", "bytes 5-4/10", "bytes 0-9/9", "bytes 0-10/10", "bytes -1/10",
		"bytes 1-/10", "bytes a-b/c", "bytes 0-1/x", "items 0-1/2", "bytes=0-1/2", "bytes  0-1/2", "bytes 0-1/2, bytes 0-1/2",
		"bytes 0-/2", "bytes 0/2", "bytes 0-x/2", "bytes x-1/2",
		"bytes 0-9223372036854775807/*", "bytes 0-99999999999999999999/99999999999999999999", "bytes 0-1/-1",
	} {
		_, _, ok := ParseContentRange(value)
		require.False(t, ok, value)
	}
}

// RFC 9110 §13.1.5 and §8.8.2.2.
func TestIfRange(t *testing.T) {
	const date = "Date: "
	modified := "Last-Modified: " + at(-time.Second)
	for name, c := range map[string]struct {
		stored  []string
		ifRange []string
		want    bool
	}{
		"absent":                 {nil, nil, true},
		"strong":                 {[]string{`ETag: "a"`}, []string{`"a"`}, true},
		"another":                {[]string{`ETag: "a"`}, []string{`"b"`}, false},
		"weak":                   {[]string{`ETag: W/"a"`}, []string{`W/"a"`}, false},
		"weak against strong":    {[]string{`ETag: "a"`}, []string{`W/"a"`}, false},
		"no tag":                 {nil, []string{`"a"`}, false},
		"a list":                 {[]string{`ETag: "a"`}, []string{`"a", "b"`}, false},
		"two lines":              {[]string{`ETag: "a"`}, []string{`"a"`, `"a"`}, false},
		"empty":                  {[]string{`ETag: "a"`}, []string{``}, false},
		"date":                   {[]string{modified, date + at(0)}, []string{at(-time.Second)}, true},
		"date, another format":   {[]string{modified, date + at(0)}, []string{testNow.Add(-time.Second).Format(time.ANSIC)}, true},
		"date, later":            {[]string{modified, date + at(0)}, []string{at(0)}, false},
		"date, earlier":          {[]string{modified, date + at(0)}, []string{at(-2 * time.Second)}, false},
		"date within the second": {[]string{modified, date + at(-time.Second)}, []string{at(-time.Second)}, false},
		"date without Date":      {[]string{modified}, []string{at(-time.Second)}, false},
		"the year 0":             {[]string{"Last-Modified: Sat, 01 Jan 0000 00:00:00 GMT"}, []string{"Sat, 01 Jan 0000 00:00:00 GMT"}, false},
		"no Last-Modified":       {[]string{date + at(0)}, []string{at(-time.Second)}, false},
		"not a date":             {[]string{"Last-Modified: x", date + at(0)}, []string{"x"}, false},
	} {
		h := lines()
		if c.ifRange != nil {
			h["If-Range"] = c.ifRange
		}
		require.Equal(t, c.want, IfRangeHolds(h, held(200, c.stored...)), name)
	}
	decoded := held(200, `ETag: "a"`)
	decoded.SetFlags(cirque.MetaDecoded)
	require.False(t, IfRangeHolds(lines(`If-Range: "a"`), decoded), "the decoded bytes are not those that the tag names")
}
