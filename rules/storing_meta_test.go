package rules

import (
	"crypto/tls"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
)

func TestStoredMeta(t *testing.T) {
	x := get("Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=7", "Age: 10", "A: 1", "A: 2", "Connection: b", "B: 1").
		withStatus(404)
	x.RequestTime = testNow.Add(-2 * time.Second)
	meta := stored(t, shared, x)
	require.Equal(t, 404, meta.StatusCode())
	require.True(t, meta.Created().Equal(testNow) && meta.Updated().Equal(testNow))
	require.True(t, meta.Epoch().Equal(testNow.Add(-12*time.Second)))
	require.True(t, meta.FreshUntil().Equal(testNow.Add(48*time.Second)))
	require.Equal(t, 12*time.Second, meta.Age(testNow))
	require.Equal(t, 5*time.Second, meta.StaleWhileRevalidate())
	require.Equal(t, 7*time.Second, meta.StaleIfError())
	require.Zero(t, meta.Flags())
	require.Equal(t, lines(
		"Cache-Control: max-age=60, stale-while-revalidate=5, stale-if-error=7", "Age: 10", "A: 1", "A: 2", "Date: "+at(0),
	), meta.Header().Header())
	require.NotContains(t, x.Header, "Date", "the exchange must not change")

	require.Equal(t, "Sat, 14 Mar 2026 09:00:00 GMT",
		stored(t, shared, get("Cache-Control: max-age=9999", "Date: Sat, 14 Mar 2026 09:00:00 GMT")).Header().Get("Date"))
}

// RFC 9111 §5.2.2.4: fields that no-cache names must be validated before reuse, or left out. They
// are left out.
func TestStoreQualifiedNoCache(t *testing.T) {
	for _, p := range []*Policy{shared, private} {
		meta := stored(t, p, get(`Cache-Control: no-cache="set-cookie, A", max-age=60`, "Set-Cookie: a=b", "A: 1", "B: 2"))
		require.False(t, meta.Has(cirque.MetaNoCache))
		require.False(t, meta.Header().Has("Set-Cookie") || meta.Header().Has("A"))
		require.True(t, meta.Header().Has("B"))
	}
}

// Store must not change the received header, whether it stores that header or a copy.
func TestStoreDoesNotChangeTheReceivedHeader(t *testing.T) {
	for _, fields := range [][]string{
		{"Cache-Control: max-age=60"}, {"Cache-Control: max-age=60", "Date: " + at(0)},
		{`Cache-Control: max-age=60, no-cache="a", private="b"`, "Date: " + at(0), "A: 1", "B: 1", "Connection: c", "C: 1"},
	} {
		x := get(fields...)
		require.NotEmpty(t, stored(t, shared, x).Header().Get("Date"))
		require.Equal(t, lines(fields...), x.Header)
	}
}

func TestStoredFlags(t *testing.T) {
	const fresh = "Cache-Control: max-age=60"
	decoded := get(fresh)
	decoded.Decoded = true
	for name, c := range map[string]struct {
		x               *Exchange
		shared, private cirque.MetaFlags
	}{
		"plain":            {get(fresh), 0, 0},
		"must-revalidate":  {get(fresh + ", must-revalidate"), cirque.MetaNoStale, cirque.MetaNoStale},
		"proxy-revalidate": {get(fresh + ", proxy-revalidate"), cirque.MetaNoStale, 0},
		"s-maxage":         {get(fresh + ", s-maxage=60"), cirque.MetaNoStale, 0},
		"no-cache":         {get(fresh+", no-cache", `ETag: "1"`), cirque.MetaNoCache, cirque.MetaNoCache},
		"decoded":          {decoded, cirque.MetaDecoded, cirque.MetaDecoded},
		"heuristic":        {get("Last-Modified: " + at(-day)), cirque.MetaHeuristic, cirque.MetaHeuristic},
		"no lifetime":      {get(`ETag: "1"`), cirque.MetaNoStale, cirque.MetaNoStale},
		"no lifetime, swr": {get(`ETag: "1"`, "Cache-Control: stale-while-revalidate=5"), 0, 0},
		"no lifetime, sie": {get(`ETag: "1"`, "Cache-Control: stale-if-error=5"), 0, 0},
		"max-age=0":        {get(`ETag: "1"`, "Cache-Control: max-age=0"), 0, 0},
		"immutable":        {get(fresh + ", immutable"), cirque.MetaImmutable, 0},
		"Pragma":           {get(fresh, "Pragma: no-cache"), 0, 0},
	} {
		require.Equal(t, c.shared, stored(t, shared, c.x).Flags(), name)
		require.Equal(t, c.private, stored(t, private, c.x).Flags(), name)
	}
}

// RFC 8246 §3.
func TestPrivateCacheTrustsImmutableOverHTTPSOnly(t *testing.T) {
	x := get("Cache-Control: max-age=60, immutable")
	x.Request.TLS = new(tls.ConnectionState)
	require.True(t, stored(t, private, x).Has(cirque.MetaImmutable))
	x.Request.TLS = nil
	require.False(t, stored(t, private, x).Has(cirque.MetaImmutable))

	for url, want := range map[string]bool{"https://example.com/": true, "http://example.com/": false} {
		request, err := http.NewRequest(http.MethodGet, url, nil) // a client's
		require.NoError(t, err)
		x.Request = request
		require.Equal(t, want, stored(t, private, x).Has(cirque.MetaImmutable), url)
	}
}

// RFC 5861.
func TestStaleWindows(t *testing.T) {
	p := &Policy{Defaults: CacheMetaDefaults{StaleWhileRevalidate: time.Second, StaleIfError: 2 * time.Second}}
	for name, c := range map[string]struct {
		lines    []string
		swr, sie time.Duration
	}{
		"defaults":               {[]string{"Cache-Control: max-age=60"}, time.Second, 2 * time.Second},
		"explicit swr":           {[]string{"Cache-Control: max-age=60, stale-while-revalidate=5"}, 5 * time.Second, 2 * time.Second},
		"explicit sie":           {[]string{"Cache-Control: max-age=60, stale-if-error=5"}, time.Second, 5 * time.Second},
		"explicit zero":          {[]string{"Cache-Control: max-age=60, stale-while-revalidate=0, stale-if-error=0"}, 0, 0},
		"unreadable":             {[]string{"Cache-Control: max-age=60, stale-while-revalidate=x"}, 0, 2 * time.Second},
		"heuristic":              {[]string{"Last-Modified: " + at(-day)}, time.Second, 2 * time.Second},
		"never fresh":            {[]string{"Cache-Control: max-age=0", `ETag: "1"`}, 0, 0},
		"never fresh, expires":   {[]string{"Expires: " + at(-day), `ETag: "1"`}, 0, 0},
		"without any lifetime":   {[]string{`ETag: "1"`}, 0, 0},
		"never fresh but stated": {[]string{"Cache-Control: max-age=0, stale-if-error=5"}, 0, 5 * time.Second},
	} {
		meta := stored(t, p, get(c.lines...))
		require.Equal(t, c.swr, meta.StaleWhileRevalidate(), name)
		require.Equal(t, c.sie, meta.StaleIfError(), name)
	}
}
