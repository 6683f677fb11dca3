package rules

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRequestCacheable(t *testing.T) {
	for name, c := range map[string]struct {
		method, detail string
		lines          []string
	}{
		"GET":                          {"GET", "", nil},
		"no method means GET":          {"", "", nil},
		"HEAD":                         {"HEAD", "", nil},
		"a client's preconditions":     {"GET", "", []string{`If-None-Match: "a"`, "If-Modified-Since: x", "If-Range: x", "Range: x"}},
		"POST":                         {"POST", "method", nil},
		"OPTIONS":                      {"OPTIONS", "method", nil},
		"CONNECT":                      {"CONNECT", "method", nil},
		"methods are case-sensitive":   {"get", "method", nil},
		"unknown":                      {"FOO", "method", nil},
		"upgrade":                      {"GET", "upgrade", []string{"Connection: upgrade", "Upgrade: websocket"}},
		"method override":              {"GET", "method-override", []string{"X-HTTP-Method-Override: HEAD"}},
		"method override 2":            {"HEAD", "method-override", []string{"X-HTTP-Method: GET"}},
		"method override 3":            {"GET", "method-override", []string{"X-Method-Override: "}},
		"target override":              {"GET", "target-override", []string{"X-Original-URL: /admin"}},
		"target override 2":            {"HEAD", "target-override", []string{"X-Rewrite-URL: /admin"}},
		"the origin's preconditions":   {"GET", "precondition", []string{`If-Match: "a"`}},
		"the origin's preconditions 2": {"GET", "precondition", []string{"If-Unmodified-Since: x"}},
	} {
		ok, detail := shared.RequestCacheable(&http.Request{Method: c.method, Header: lines(c.lines...)})
		require.Equal(t, c.detail == "", ok, name)
		require.Equal(t, c.detail, detail, name)
	}
}

// A GET with content does not use the cache.
func TestRequestContent(t *testing.T) {
	server := func(raw string) *http.Request {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(strings.ReplaceAll(raw, "\n", "\r\n"))))
		require.NoError(t, err)
		return r
	}
	client := func(body string) *http.Request {
		r, err := http.NewRequest(http.MethodGet, "http://example.com/", strings.NewReader(body))
		require.NoError(t, err)
		return r
	}
	unsized := client("x")
	unsized.ContentLength = 0
	http2 := httptest.NewRequest(http.MethodGet, "/", nil)
	http2.Body = io.NopCloser(strings.NewReader("")) // net/http sets a Body in every HTTP/2 request
	for name, c := range map[string]struct {
		request *http.Request
		want    bool
	}{
		"server":                    {server("GET / HTTP/1.1\nHost: a\n\n"), false},
		"server, of length 0":       {server("GET / HTTP/1.1\nHost: a\nContent-Length: 0\n\n"), false},
		"server, of length 1":       {server("GET / HTTP/1.1\nHost: a\nContent-Length: 1\n\nx"), true},
		"server, chunked":           {server("GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0\n\n"), true},
		"server, HTTP/2":            {http2, false},
		"client":                    {client(""), false},
		"client, of length 1":       {client("x"), true},
		"client, of unknown length": {unsized, true},
	} {
		ok, detail := shared.RequestCacheable(c.request)
		require.Equal(t, !c.want, ok, name)
		require.Equal(t, c.want, detail == "request-content", name)
	}
}

func TestRequestDirectives(t *testing.T) {
	for name, c := range map[string]struct {
		lines   []string
		noCache bool
		present bool
	}{
		"none":                        {nil, false, false},
		"Cache-Control":               {[]string{"Cache-Control: no-cache"}, true, true},
		"Pragma alone":                {[]string{"Pragma: no-cache"}, true, true},
		"Pragma in upper case":        {[]string{"Pragma: NO-CACHE"}, true, true},
		"Pragma among others":         {[]string{"Pragma: x", "Pragma: y, no-cache"}, true, true},
		"another Pragma":              {[]string{"Pragma: cache"}, false, false},
		"Pragma beside Cache-Control": {[]string{"Pragma: no-cache", "Cache-Control: max-age=5"}, false, true},
	} {
		d := shared.RequestDirectives(lines(c.lines...))
		require.Equal(t, c.noCache, d.NoCache, name)
		require.Equal(t, c.present, d.Present, name)
	}
	d := shared.RequestDirectives(lines("Cache-Control: min-fresh=5, only-if-cached", "Cache-Control: max-stale"))
	require.Equal(t, 5*time.Second, d.MinFresh.Duration)
	require.True(t, d.OnlyIfCached && d.MaxStaleAny)
}

func TestNoRequestDirectivesAllocateNothing(t *testing.T) {
	h := lines("Accept: */*", "User-Agent: x")
	require.Zero(t, testing.AllocsPerRun(100, func() { shared.RequestDirectives(h) }))
}

func BenchmarkRequestDirectives(b *testing.B) {
	for name, h := range map[string]http.Header{
		"absent": lines("Accept: */*", "User-Agent: x", "Accept-Encoding: gzip"),
		"reload": lines("Accept: */*", "User-Agent: x", "Cache-Control: max-age=0"),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				shared.RequestDirectives(h)
			}
		})
	}
}
