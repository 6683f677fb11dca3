package cachecontrol

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var seeds = []string{
	"",
	"no-store",
	"no-cache",
	"max-age=0",
	"public, max-age=31536000, immutable",
	"private, no-cache, no-store, max-age=0, must-revalidate",
	"s-maxage=60, stale-while-revalidate=30, stale-if-error=86400, proxy-revalidate",
	"must-understand, no-store, no-transform",
	`private="set-cookie, x", no-cache="a"`,
	"no-cache=a, private=",
	"max-stale, min-fresh=5, only-if-cached",
	"max-stale=5, stale-if-error=1.5",
	"max-age=99999999999999999999, s-maxage=-1",
	`community="UC\"I", foo=bar, baz`,
	"private; max-age =60; public",
	`max-age=60, ext="abc, no-store`,
	`x="abc, no-store, y=" , z=\""`,
	`ext=a"b, c"d, max-age='1'`,
	"ext=?0, a=(1 2), b=:YQ==:;c=1, d=1.0, e=a/b",
	`ext="\`,
}

// meant returns d as if its argument had been well-formed: a malformed argument means zero, as 0
// does.
func meant(d Delta) Delta {
	d.Valid = d.Present
	return d
}

func meantByResponse(r Response) Response {
	for _, d := range []*Delta{&r.MaxAge, &r.SMaxAge, &r.StaleWhileRevalidate, &r.StaleIfError} {
		*d = meant(*d)
	}
	return r
}

func meantByRequest(r Request) Request {
	for _, d := range []*Delta{&r.MaxAge, &r.MinFresh, &r.StaleIfError, &r.MaxStale} {
		*d = meant(*d)
	}
	return r
}

func checkDelta(t *testing.T, ds ...Delta) {
	for _, d := range ds {
		require.GreaterOrEqual(t, d.Duration, Delta{}.Duration)
		require.LessOrEqual(t, d.Duration, maxDelta)
		require.True(t, d.Present || !d.Valid)
		require.True(t, d.Valid || d.Duration == 0)
	}
}

// FuzzResponse checks that the text written for a response reads back as the same directives. It
// also checks that, without quotes, it makes no difference how a field is cut into lines.
func FuzzResponse(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, fractions bool) {
		o := &Options{FractionalSeconds: fractions}
		r := ParseResponse([]string{line}, o)
		checkDelta(t, r.MaxAge, r.SMaxAge, r.StaleWhileRevalidate, r.StaleIfError)
		require.False(t, r.NoCache && r.NoCacheFields != nil)
		require.False(t, r.Private && r.PrivateFields != nil)

		text := r.String()
		require.Equal(t, text == "", r.IsZero())
		require.Equal(t, meantByResponse(r), ParseResponse([]string{text}, o), "%q", text)
		if !strings.Contains(line, `"`) {
			require.Equal(t, r, ParseResponse(strings.Split(line, ","), o))
		}
	})
}

// FuzzRequest makes the checks of FuzzResponse for requests.
func FuzzRequest(f *testing.F) {
	for _, s := range seeds {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, fractions bool) {
		o := &Options{FractionalSeconds: fractions}
		r := ParseRequest([]string{line}, o)
		checkDelta(t, r.MaxAge, r.MinFresh, r.StaleIfError, r.MaxStale)
		require.False(t, r.MaxStaleAny && r.MaxStale.Present)

		text := r.String()
		require.Equal(t, meantByRequest(r), ParseRequest([]string{text}, o), "%q", text)
		if !strings.Contains(line, `"`) {
			require.Equal(t, r, ParseRequest(strings.Split(line, ","), o))
		}
	})
}

// FuzzNeighbour checks that a restriction of a well-formed field restricts no less with any text
// before or after it. Writing what was read makes the field well-formed.
func FuzzNeighbour(f *testing.F) {
	for _, s := range seeds {
		for _, n := range seeds {
			f.Add(s, n)
		}
	}
	f.Fuzz(func(t *testing.T, line, neighbour string) {
		r := ParseResponse([]string{line}, nil)
		// A must-understand that is beyond doubt may lift no-store.
		lifted := r.MustUnderstand || ParseResponse([]string{neighbour, "no-store"}, nil).MustUnderstand
		for _, both := range [][]string{
			{neighbour + ", " + r.String()},
			{r.String() + ", " + neighbour},
			{neighbour, r.String()},
			{r.String(), neighbour},
		} {
			got := ParseResponse(both, nil)
			checkNoLooser(t, r, got, both)
			require.False(t, r.NoStore && !lifted && got.MustUnderstand, "%q", both)
		}
		q := ParseRequest([]string{line}, nil)
		for _, both := range [][]string{
			{neighbour + ", " + q.String()},
			{q.String() + ", " + neighbour},
		} {
			got := ParseRequest(both, nil)
			require.False(t, q.NoStore && !got.NoStore, "%q", both)
			require.False(t, q.NoCache && !got.NoCache, "%q", both)
		}
	})
}

func checkNoLooser(t *testing.T, want, got Response, lines []string) {
	require.False(t, want.NoStore && !got.NoStore, "%q", lines)
	require.False(t, want.NoTransform && !got.NoTransform, "%q", lines)
	require.False(t, want.MustRevalidate && !got.MustRevalidate, "%q", lines)
	require.False(t, want.ProxyRevalidate && !got.ProxyRevalidate, "%q", lines)
	require.False(t, want.Private && !got.Private, "%q", lines)
	require.False(t, want.NoCache && !got.NoCache, "%q", lines)
	for _, name := range want.PrivateFields {
		require.True(t, got.Private || slices.Contains(got.PrivateFields, name), "%q", lines)
	}
	for _, name := range want.NoCacheFields {
		require.True(t, got.NoCache || slices.Contains(got.NoCacheFields, name), "%q", lines)
	}
}

// FuzzTargeted checks that the text written for what was read from a targeted field means the same
// in a targeted field and in Cache-Control.
func FuzzTargeted(f *testing.F) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		r, ok := ParseTargeted([]string{line})
		if !ok {
			require.Equal(t, Response{}, r)
			return
		}
		checkDelta(t, r.MaxAge, r.SMaxAge, r.StaleWhileRevalidate, r.StaleIfError)
		text := r.String()
		got, ok := ParseTargeted([]string{text})
		require.Equal(t, text != "", ok)
		require.Equal(t, meantByResponse(r), got, "%q", text)
		require.Equal(t, meantByResponse(r), ParseResponse([]string{text}, nil), "%q", text)
	})
}
