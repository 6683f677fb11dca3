package rules

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
		require.Equal(t, before, fmt.Sprint(r.URL), "the request must not change")
	}
}
