package rules

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

// RFC 9110 §8.8.3.2, table 3, and values that are not entity tags.
func TestEntityTagComparison(t *testing.T) {
	for _, c := range []struct {
		a, b         string
		strong, weak bool
	}{
		{`W/"1"`, `W/"1"`, false, true},
		{`W/"1"`, `W/"2"`, false, false},
		{`W/"1"`, `"1"`, false, true},
		{`"1"`, `W/"1"`, false, true},
		{`"1"`, `"1"`, true, true},
		{`"1"`, `"2"`, false, false},
		{`""`, `""`, true, true},
		{`w/"1"`, `"1"`, false, false},
		{`1`, `"1"`, false, false},
		{`1`, `1`, false, true}, // not entity tags, but equal
		{`"`, `"`, false, true},
		{`"1`, `"1`, false, true},
		{``, ``, false, false},
		{`W/`, `W/`, false, false},
		{`W/`, ``, false, false},
	} {
		require.Equal(t, c.strong, StrongMatch(c.a, c.b), "%s %s", c.a, c.b)
		require.Equal(t, c.weak, WeakMatch(c.a, c.b), "%s %s", c.a, c.b)
	}
	require.Equal(t, `W/"1"`, WeakTag(`"1"`))
	require.Equal(t, `W/"1"`, WeakTag(`W/"1"`))
	require.Equal(t, ``, WeakTag(``))
}

func TestEntityTagLists(t *testing.T) {
	for line, want := range map[string][]string{
		``:                       nil,
		` , ,`:                   nil,
		`,"a","b"`:               {`"a"`, `"b"`},
		`"a"`:                    {`"a"`},
		`"a" ,W/"b",  "c"`:       {`"a"`, `W/"b"`, `"c"`},
		`"a,b", "c"`:             {`"a,b"`, `"c"`},
		`"a\", "b"`:              {`"a\"`, `"b"`}, // a backslash escapes nothing
		"\"\x80,\xff\",\"\xe4\"": {"\"\x80,\xff\"", "\"\xe4\""},
		`a, b`:                   {`a`, `b`},
		`"a, b`:                  {`"a, b`},
	} {
		require.Equal(t, want, slices.Collect(entityTags([]string{line})), line)
	}
	require.Equal(t, []string{`"a`, `"b"`}, slices.Collect(entityTags([]string{`"a`, `"b"`})))
	for tag := range entityTags([]string{`"a", "b"`}) {
		require.Equal(t, `"a"`, tag)
		break
	}
}

// RFC 9110 §13.2.2, RFC 9111 §4.3.2.
func TestPreconditions(t *testing.T) {
	const tag, notModified, none = `ETag: "a"`, PreconditionNotModified, PreconditionNone
	modified := "Last-Modified: " + at(-day)
	for name, c := range map[string]struct {
		method  string
		stored  []string
		request []string
		want    Precondition
	}{
		"none at all":                 {"GET", []string{tag}, nil, none},
		"If-None-Match":               {"GET", []string{tag}, []string{`If-None-Match: "a"`}, notModified},
		"an asterisk among tags":      {"GET", []string{tag}, []string{"If-None-Match: *", `If-None-Match: "b"`}, none},
		"no date, year 0 stored":      {"GET", []string{"Last-Modified: Sat, 01 Jan 0000 00:00:00 GMT"}, []string{"If-Modified-Since: x"}, none},
		"If-None-Match, HEAD":         {"HEAD", []string{tag}, []string{`If-None-Match: "a"`}, notModified},
		"If-None-Match, no method":    {"", []string{tag}, []string{`If-None-Match: "a"`}, notModified},
		"If-None-Match, POST":         {"POST", []string{tag}, []string{`If-None-Match: "a"`}, none},
		"If-None-Match, another":      {"GET", []string{tag}, []string{`If-None-Match: "b"`}, none},
		"If-None-Match, weak":         {"GET", []string{tag}, []string{`If-None-Match: W/"a"`}, notModified},
		"If-None-Match, stored weak":  {"GET", []string{`ETag: W/"a"`}, []string{`If-None-Match: "a"`}, notModified},
		"If-None-Match, list":         {"GET", []string{tag}, []string{`If-None-Match: "b" , "a","c"`}, notModified},
		"If-None-Match, lines":        {"GET", []string{tag}, []string{`If-None-Match: "b"`, `If-None-Match: "a"`}, notModified},
		"If-None-Match, none in list": {"GET", []string{tag}, []string{`If-None-Match: "b", "c"`}, none},
		"If-None-Match, any":          {"GET", []string{tag}, []string{"If-None-Match: *"}, notModified},
		"If-None-Match, any, no tag":  {"GET", nil, []string{"If-None-Match: *"}, notModified},
		"If-None-Match, any in list":  {"GET", []string{tag}, []string{`If-None-Match: *, "b"`}, none},
		"If-None-Match, no tag":       {"GET", nil, []string{`If-None-Match: "a"`}, none},
		"If-None-Match, unquoted":     {"GET", []string{tag}, []string{`If-None-Match: a`}, none},
		"If-None-Match, empty":        {"GET", []string{tag}, []string{`If-None-Match:`}, none},

		"If-Modified-Since":                 {"GET", []string{modified}, []string{"If-Modified-Since: " + at(-day)}, notModified},
		"If-Modified-Since, later":          {"GET", []string{modified}, []string{"If-Modified-Since: " + at(0)}, notModified},
		"If-Modified-Since, earlier":        {"GET", []string{modified}, []string{"If-Modified-Since: " + at(-day-time.Second)}, none},
		"If-Modified-Since, HEAD":           {"HEAD", []string{modified}, []string{"If-Modified-Since: " + at(-day)}, notModified},
		"If-Modified-Since, RFC 850":        {"GET", []string{modified}, []string{"If-Modified-Since: " + testNow.Add(-day).Format("Monday, 02-Jan-06 15:04:05 GMT")}, notModified},
		"If-Modified-Since, asctime":        {"GET", []string{modified}, []string{"If-Modified-Since: " + testNow.Add(-day).Format(time.ANSIC)}, notModified},
		"If-Modified-Since, no date":        {"GET", []string{modified}, []string{"If-Modified-Since: x"}, none},
		"If-Modified-Since, several":        {"GET", []string{modified}, []string{"If-Modified-Since: " + at(0), "If-Modified-Since: " + at(0)}, none},
		"If-Modified-Since, by Date":        {"GET", []string{"Date: " + at(-time.Hour)}, []string{"If-Modified-Since: " + at(-time.Hour)}, notModified},
		"If-Modified-Since, before Date":    {"GET", []string{"Date: " + at(-time.Hour)}, []string{"If-Modified-Since: " + at(-2*time.Hour)}, none},
		"If-Modified-Since, by receipt":     {"GET", nil, []string{"If-Modified-Since: " + at(0)}, notModified},
		"If-Modified-Since, before receipt": {"GET", nil, []string{"If-Modified-Since: " + at(-time.Second)}, none},
		"If-Modified-Since, unreadable":     {"GET", []string{"Last-Modified: x", "Date: " + at(-time.Hour)}, []string{"If-Modified-Since: " + at(-time.Hour)}, notModified},

		"the tag decides: changed": {"GET", []string{tag, modified}, []string{`If-None-Match: "b"`, "If-Modified-Since: " + at(0)}, none},
		"the tag decides: same":    {"GET", []string{tag, modified}, []string{`If-None-Match: "a"`, "If-Modified-Since: " + at(-2*day)}, notModified},
		"an empty tag decides":     {"GET", []string{tag, modified}, []string{`If-None-Match:`, "If-Modified-Since: " + at(0)}, none},
		"If-Match is the origin's": {"GET", []string{tag}, []string{`If-Match: "b"`}, none},
		"If-Unmodified-Since too":  {"GET", []string{modified}, []string{"If-Unmodified-Since: " + at(-2*day)}, none},
	} {
		require.Equal(t, c.want, EvaluatePreconditions(c.method, lines(c.request...), held(200, c.stored...)), name)
	}
}

// RFC 9110 §13.2.1: preconditions count only if the answer without them would be a 2xx.
func TestPreconditionsByStatus(t *testing.T) {
	h := lines(`If-None-Match: "a"`)
	for status, want := range map[int]Precondition{
		199: PreconditionNone, 200: PreconditionNotModified, 204: PreconditionNotModified, 299: PreconditionNotModified,
		300: PreconditionNone, 301: PreconditionNone, 404: PreconditionNone, 500: PreconditionNone,
	} {
		require.Equal(t, want, EvaluatePreconditions("GET", h, held(status, `ETag: "a"`)), status)
	}
}

func TestHasPreconditions(t *testing.T) {
	require.True(t, HasPreconditions(lines("If-None-Match: x")))
	require.True(t, HasPreconditions(lines("If-Modified-Since: x")))
	require.False(t, HasPreconditions(lines("If-Match: x", "If-Unmodified-Since: x", "If-Range: x", "Range: x")))
}

// RFC 9111 §4.3.1.
func TestUpstreamHeader(t *testing.T) {
	client := []string{
		"If-Match: 1", "If-None-Match: 2", "If-Modified-Since: 3", "If-Unmodified-Since: 4", "If-Range: 5", "Range: bytes=6-", "A: 7",
	}
	both := cirque.Variant{ETag: `"a"`, LastModified: at(-day)}
	for name, c := range map[string]struct {
		validators []cirque.Variant
		keepRange  bool
		want       []string
	}{
		"a fill":              {nil, false, []string{"A: 7"}},
		"a fill of a range":   {nil, true, []string{"A: 7", "If-Range: 5", "Range: bytes=6-"}},
		"both validators":     {[]cirque.Variant{both}, false, []string{"A: 7", `If-None-Match: "a"`, "If-Modified-Since: " + at(-day)}},
		"a tag":               {[]cirque.Variant{{ETag: `W/"a"`}}, false, []string{"A: 7", `If-None-Match: W/"a"`}},
		"a date":              {[]cirque.Variant{{LastModified: at(-day)}}, false, []string{"A: 7", "If-Modified-Since: " + at(-day)}},
		"nothing":             {[]cirque.Variant{{}}, false, []string{"A: 7"}},
		"several":             {[]cirque.Variant{both, {ETag: `"b"`}, {LastModified: at(0)}, both}, false, []string{"A: 7", `If-None-Match: "a", "b"`}},
		"of a range, no date": {[]cirque.Variant{both}, true, []string{"A: 7", "If-Range: 5", "Range: bytes=6-", `If-None-Match: "a"`}},
	} {
		h := lines(client...)
		UpstreamHeader(h, c.validators, c.keepRange)
		require.Equal(t, lines(c.want...), h, name)
	}
	// keepRange adds no range if the client sent none.
	h := lines("A: 7")
	UpstreamHeader(h, []cirque.Variant{both}, true)
	require.Equal(t, lines("A: 7", `If-None-Match: "a"`, "If-Modified-Since: "+at(-day)), h)
}

// RFC 9110 §15.4.5.
func TestNotModifiedHeader(t *testing.T) {
	fields := []string{
		"Cache-Control: max-age=1", "Cache-Control: public", "CDN-Cache-Control: max-age=2", "Content-Location: /a", "Date: " + at(0),
		`ETag: "a"`, "Expires: " + at(0), "Vary: A", "Vary: B",
	}
	rest := []string{"Content-Type: a/b", "Content-Length: 5", "Last-Modified: " + at(-day), "Set-Cookie: x", "Age: 3", "X: y"}
	meta := held(200, append(slices.Clone(fields), rest...)...)
	dst := lines("Cache-Status: x")
	NotModifiedHeader(meta, dst)
	require.Equal(t, lines(append(fields, "Cache-Status: x")...), dst)

	dst = http.Header{}
	NotModifiedHeader(held(200, rest...), dst)
	require.Equal(t, lines("Last-Modified: "+at(-day)), dst, "instead of a tag")

	for stored, want := range map[string]string{`"a"`: `W/"a"`, `W/"a"`: `W/"a"`} {
		decoded := held(200, "ETag: "+stored)
		decoded.SetFlags(cirque.MetaDecoded)
		dst = http.Header{}
		NotModifiedHeader(decoded, dst)
		require.Equal(t, lines("ETag: "+want), dst)
		require.Equal(t, stored, decoded.Header().Get("Etag"))
	}
}

func BenchmarkEvaluatePreconditions(b *testing.B) {
	meta := held(200, `ETag: "abc"`, "Last-Modified: "+at(-day), "Content-Type: a/b", "Cache-Control: max-age=60")
	for name, h := range map[string]http.Header{
		"tag":  lines(`If-None-Match: "abc"`),
		"date": lines("If-Modified-Since: " + at(0)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if EvaluatePreconditions("GET", h, meta) != PreconditionNotModified {
					b.Fatal(fmt.Sprint(h))
				}
			}
		})
	}
}

func BenchmarkHasPreconditions(b *testing.B) {
	h := lines("Accept: */*", "User-Agent: x", "Accept-Encoding: gzip")
	b.ReportAllocs()
	for b.Loop() {
		HasPreconditions(h)
	}
}

func TestRefreshHeader(t *testing.T) {
	h := lines("Cache-Control: no-cache", "Pragma: no-cache", "Range: bytes=1-2", "If-Range: x", "If-Match: x", "If-None-Match: x",
		"If-Modified-Since: x", "If-Unmodified-Since: x", "Cookie: a=b", "Accept: */*")
	RefreshHeader(h)
	require.Equal(t, lines("Cookie: a=b", "Accept: */*"), h)
}
