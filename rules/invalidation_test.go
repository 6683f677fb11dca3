package rules

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9110 §9.2.1, RFC 9111 §4.4.
func TestUnsafeMethods(t *testing.T) {
	for _, method := range []string{"", "GET", "HEAD", "OPTIONS", "TRACE"} {
		require.False(t, IsUnsafe(method), method)
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "CONNECT", "M-SEARCH", "FOO", "get", "head"} {
		require.True(t, IsUnsafe(method), method)
	}
}

func TestInvalidatesOnNonErrorsToUnsafeMethods(t *testing.T) {
	for _, method := range []string{"GET", "HEAD", "POST", "FOO"} {
		for _, status := range []int{100, 199, 200, 204, 299, 301, 304, 399, 400, 404, 500, 599} {
			x := httptest.NewRequest(method, "http://example.com/a", nil)
			header := lines("Location: /b", `Cache-Group-Invalidation: "g"`)
			want := (method == "POST" || method == "FOO") && 200 <= status && status < 400
			require.Equal(t, want, len(Invalidates(x, status, header)) == 2, "%s %d", method, status)
			require.Equal(t, want, Invalidates(x, status, header) != nil, "%s %d", method, status)
			require.Equal(t, want, len(InvalidatedGroups(x, status, header)) == 1, "%s %d", method, status)
		}
	}
}

func TestInvalidatedURIs(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"target alone":           {nil, nil},
		"Location":               {[]string{"Location: http://example.com/b?c"}, []string{"http://example.com/b?c"}},
		"Content-Location":       {[]string{"Content-Location: /b"}, []string{"http://example.com/b"}},
		"both":                   {[]string{"Content-Location: /b", "Location: /c"}, []string{"http://example.com/c", "http://example.com/b"}},
		"relative":               {[]string{"Location: b"}, []string{"http://example.com/dir/b"}},
		"query":                  {[]string{"Location: ?b"}, []string{"http://example.com/dir/a?b"}},
		"the target once":        {[]string{"Location: /dir/a?q", "Content-Location: ?q"}, nil},
		"each once":              {[]string{"Location: /b", "Content-Location: /b#x"}, []string{"http://example.com/b"}},
		"several lines":          {[]string{"Location: /b", "Location: /c"}, []string{"http://example.com/b", "http://example.com/c"}},
		"default port, case":     {[]string{"Location: HTTP://Example.COM:80/b"}, []string{"http://example.com/b"}},
		"empty port":             {[]string{"Location: http://example.com:/b"}, []string{"http://example.com/b"}},
		"no path":                {[]string{"Location: http://example.com"}, []string{"http://example.com/"}},
		"user information":       {[]string{"Location: http://u:p@example.com/b"}, []string{"http://example.com/b"}},
		"another host":           {[]string{"Location: http://example.org/b"}, nil},
		"a host below":           {[]string{"Location: http://a.example.com/b"}, nil},
		"another scheme":         {[]string{"Location: https://example.com/b"}, nil},
		"another port":           {[]string{"Location: http://example.com:8080/b"}, nil},
		"the other's port":       {[]string{"Location: http://example.com:443/b"}, nil},
		"no host":                {[]string{"Location: mailto:a@example.com"}, nil},
		"no URI":                 {[]string{"Location: http://%zz/"}, nil},
		"empty means the target": {[]string{"Location:"}, nil},
	} {
		x := httptest.NewRequest(http.MethodPost, "http://example.com/dir/a?q", nil)
		var got []string
		for _, uri := range Invalidates(x, 200, lines(c.lines...)) {
			got = append(got, uri.String())
		}
		require.Equal(t, append([]string{"http://example.com/dir/a?q"}, c.want...), got, name)
	}
}

// RFC 9110 §7.1.
func TestTargetURI(t *testing.T) {
	server := func(target, host string) *http.Request {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n")))
		require.NoError(t, err)
		return r
	}
	client := func(url string) *http.Request {
		r, err := http.NewRequest(http.MethodGet, url, nil)
		require.NoError(t, err)
		return r
	}
	secure := server("/a", "example.com")
	secure.TLS = new(tls.ConnectionState)
	opaque := client("http://example.com/a%2Fb/%41?%zz&b=;c")
	rewritten := func(target string) *http.Request {
		r := server(target, "example.com")
		r.URL = &url.URL{Path: "/elsewhere", RawQuery: "x"}
		return r
	}
	unreadable := rewritten("/a")
	unreadable.RequestURI = "/%zz"
	tunnel := &http.Request{Method: http.MethodConnect, RequestURI: "example.com:443", URL: &url.URL{Host: "example.com:443"}}
	for want, r := range map[string]*http.Request{
		"http://example.com/a?b":                server("/a?b", "Example.com:80"),
		"http://example.com:8080/a":             server("/a", "example.com:8080"),
		"https://example.com/a":                 secure,
		"http://example.org/b":                  server("https://example.org/b", "example.org"), // the connection is not TLS
		"http://[::1]/a":                        server("/a", "[::1]:80"),
		"http://[::1]:81/a":                     server("/a", "[::1]:81"),
		"https://example.com/":                  client("https://u:p@EXAMPLE.com:443#f"),
		"https://example.com:80/":               client("https://example.com:80/"),
		"http://example.com/a%2Fb/%41?%zz&b=;c": opaque,
		"http://example.com/p/a%2Fb?":           rewritten("/p/a%2Fb?"),
		"http://example.com//p":                 rewritten("//p"),
		"http://example.com/p?q":                rewritten("https://example.com/p?q"),
		"http://example.com/elsewhere?x":        unreadable,
		"http://example.com:443/":               tunnel,
	} {
		before := fmt.Sprint(r.URL)
		require.Equal(t, want, TargetURI(r).String())
		require.Equal(t, before, fmt.Sprint(r.URL), "the request is not the rule's to change")
	}
}

// What an unsafe request invalidates is what its client asked for, not what the URL was rewritten
// to on the way.
func TestInvalidatesWhatWasAskedFor(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/docs/a", nil)
	r.URL.Path = "/a"
	var got []string
	for _, uri := range Invalidates(r, 200, lines("Location: b", "Content-Location: /docs/c")) {
		got = append(got, uri.String())
	}
	require.Equal(t, []string{"http://example.com/docs/a", "http://example.com/docs/b", "http://example.com/docs/c"}, got)
}

// RFC 9875 §2.
func TestCacheGroups(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"none":            {nil, nil},
		"empty":           {[]string{""}, nil},
		"one":             {[]string{`"scripts"`}, []string{"scripts"}},
		"several, a line": {[]string{`"a", "b";x=1`, `"B", "a"`}, []string{"a", "b", "B"}},
		"escapes":         {[]string{`"a\"b\\c"`}, []string{`a"b\c`}},
		"an empty string": {[]string{`""`}, []string{""}},
		"a token":         {[]string{`"a", b`}, nil},
		"a number":        {[]string{`1`}, nil},
		"an inner list":   {[]string{`("a" "b")`}, nil},
		"not structured":  {[]string{`"a", `}, nil},
		"unclosed":        {[]string{`"a`}, nil},
		"not of ASCII":    {[]string{"\"\xff\""}, nil},
	} {
		h := http.Header{"Cache-Groups": c.lines, "Cache-Group-Invalidation": c.lines}
		require.Equal(t, c.want, CacheGroups(h), name)
		require.Equal(t, c.want, InvalidatedGroups(httptest.NewRequest("POST", "/", nil), 200, h), name)
	}
}

// RFC 9875 §2: at least 32 groups of 32 characters.
func TestCacheGroupsLimits(t *testing.T) {
	var members []string
	for i := range 200 {
		members = append(members, fmt.Sprintf("%q", fmt.Sprintf("%064d", i)))
	}
	require.Len(t, CacheGroups(http.Header{"Cache-Groups": {strings.Join(members[:32], ", ")}}), 32)
	got := CacheGroups(http.Header{"Cache-Groups": {strings.Join(members, ", ")}})
	require.Len(t, got, 128)
	require.Equal(t, fmt.Sprintf("%064d", 127), got[127])
}

// A field of any length costs no more than one of 64 KiB.
func TestCacheGroupsOfAnyLength(t *testing.T) {
	long := func(n int) []string { return []string{`"` + strings.Repeat("g", n) + `"`, `"a"`} }
	require.Len(t, CacheGroups(http.Header{"Cache-Groups": long(60_000)}), 2)
	require.Empty(t, CacheGroups(http.Header{"Cache-Groups": long(70_000)}))
	require.Empty(t, InvalidatedGroups(httptest.NewRequest("POST", "/", nil), 200, http.Header{"Cache-Group-Invalidation": long(70_000)}))
}
