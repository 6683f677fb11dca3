package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// serveLogged runs the program with an access log, sends requests, and returns the lines.
func serveLogged(t *testing.T, front, format string, requests ...*http.Request) []string {
	o, err := parseOptions([]string{"-front", front, "-log", format}, io.Discard)
	require.NoError(t, err)
	require.Equal(t, format, o.accessLog)
	cache, closeStore, err := newCache(o, nil)
	require.NoError(t, err)
	site := httptest.NewServer(newDemoSite(0))
	t.Cleanup(site.Close)
	origin, err := parseOrigin(site.URL)
	require.NoError(t, err)
	var log logBuffer
	handler := logAccess(newProxy(origin, nil, front, cache, http.DefaultTransport), format, &log)
	for _, r := range requests {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	require.NoError(t, cache.Close(t.Context()))
	require.NoError(t, closeStore())
	lines := strings.SplitAfter(log.String(), "\n")
	require.Len(t, lines, len(requests)+1, "one line a request: %s", &log)
	return lines[:len(requests)]
}

func request(method, target string, fields ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	return r
}

func TestAccessLogInCombinedFormat(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		purge := request("PURGE", "/")
		purge.RemoteAddr = "127.0.0.1:1"
		lines := serveLogged(t, front, "combined",
			request("GET", "/?q=1", "Referer", "http://a.example/", "User-Agent", "curl/8"), request("GET", "/?q=1"),
			request("GET", "/private"), request("POST", "/welcome"), purge,
			request("GET", "/nothing", "User-Agent", "a\"b\\c\nd\x00\xff"))
		for i, want := range []string{
			`^192\.0\.2\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /\?q=1 HTTP/1\.1" 200 \d\d "http://a\.example/" "curl/8" "miss"\n$`,
			`"GET /\?q=1 HTTP/1\.1" 200 \d\d "-" "-" "hit"\n$`,
			`"GET /private HTTP/1\.1" 200 \d\d "-" "-" "pass"\n$`,
			`"POST /welcome HTTP/1\.1" 200 \d+ "-" "-" "(pass|bypass)"\n$`,
			`^127\.0\.0\.1 .*"PURGE / HTTP/1\.1" (200|404) \d+ "-" "-" "none"\n$`,
			`"GET /nothing HTTP/1\.1" 502 \d+ "-" "a\\"b\\\\c\\x0ad\\x00\\xff" "\w+"\n$`,
		} {
			require.Regexp(t, regexp.MustCompile(want), lines[i])
		}
	})
}

func TestAccessLogInJSON(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		lines := serveLogged(t, front, "json", request("GET", "http://www.example.com/a?b", "User-Agent", "\"\n"), request("GET", "/private"), request("GET", "/private"))
		var first, last map[string]any
		require.NoError(t, json.Unmarshal([]byte(lines[0]), &first))
		require.NoError(t, json.Unmarshal([]byte(lines[2]), &last))
		require.Equal(t, "www.example.com", first["host"])
		require.Equal(t, "\"\n", first["user_agent"])
		require.Equal(t, "GET", first["method"])
		require.Equal(t, "192.0.2.1", first["client"])
		require.NotZero(t, first["duration"])
		require.Equal(t, "pass", last["cache"])
		require.Equal(t, "no-store", last["cache_detail"])
		require.Equal(t, 200., last["status"])
		require.NotZero(t, last["bytes"])
		require.NotZero(t, last["origin_duration"])
	})
}
