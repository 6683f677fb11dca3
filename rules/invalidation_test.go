package rules

import (
	"fmt"
	"net/http"
	"net/http/httptest"
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

func TestUnsafeMethodsInvalidateUnlessTheResponseIsAnError(t *testing.T) {
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
		"a subdomain":            {[]string{"Location: http://a.example.com/b"}, nil},
		"another scheme":         {[]string{"Location: https://example.com/b"}, nil},
		"another port":           {[]string{"Location: http://example.com:8080/b"}, nil},
		"the port of https":      {[]string{"Location: http://example.com:443/b"}, nil},
		"no host":                {[]string{"Location: mailto:a@example.com"}, nil},
		"an invalid URI":         {[]string{"Location: http://%zz/"}, nil},
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

// An unsafe request invalidates the URI that its client asked for, not the rewritten URL.
func TestInvalidatesTheRequestedURI(t *testing.T) {
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
		"not ASCII":       {[]string{"\"\xff\""}, nil},
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

// A field of more than 64 KiB is not parsed.
func TestCacheGroupsIgnoresLongFields(t *testing.T) {
	long := func(n int) []string { return []string{`"` + strings.Repeat("g", n) + `"`, `"a"`} }
	require.Len(t, CacheGroups(http.Header{"Cache-Groups": long(60_000)}), 2)
	require.Empty(t, CacheGroups(http.Header{"Cache-Groups": long(70_000)}))
	require.Empty(t, InvalidatedGroups(httptest.NewRequest("POST", "/", nil), 200, http.Header{"Cache-Group-Invalidation": long(70_000)}))
}
