package middleware_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// Behind a proxy that rewrites the path, the rewritten URL makes the key. The client's URL, which
// the request still carries, does not, nor does the scheme of the client's connection.
func TestTransportKeysGoByTheRewrittenURL(t *testing.T) {
	var asked atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); r.Method == http.MethodGet {
			fresh(fmt.Sprintf("%d: %s", n, r.URL))(w, r)
		}
	}))
	defer origin.Close()
	target, err := url.Parse(origin.URL)
	require.NoError(t, err)
	inner := func(path string) string {
		if below, ok := strings.CutPrefix(path, "/outer"); ok {
			return "/inner" + below
		}
		return path
	}
	for name, proxy := range map[string]*httputil.ReverseProxy{
		"Rewrite": {Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = inner(r.In.URL.Path)
		}},
		"Director": {Director: func(r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.Host = target.Scheme, target.Host, target.Host
			r.URL.Path = inner(r.URL.Path)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, proto string) {
				asked.Store(0)
				cache := newCache(t, middleware.Config{})
				transport := &http.Transport{}
				t.Cleanup(transport.CloseIdleConnections)
				proxy := *proxy
				proxy.Transport = cache.Transport(transport)
				h := serveTLS(t, proto, &proxy)
				require.Equal(t, "2: /inner/a", h.getTwice("/outer/a"))
				require.Contains(t, h.get("/inner/a").status(), "; hit", "both URLs are the same to the origin")

				outbound, err := http.NewRequest(http.MethodGet, origin.URL+"/inner/a", nil)
				require.NoError(t, err)
				require.NoError(t, cache.Purge(t.Context(), outbound))
				require.Equal(t, "3: /inner/a", h.getTwice("/outer/a"))
				h.do(http.MethodPost, "/outer/a")
				require.Equal(t, "5: /inner/a", h.getTwice("/outer/a"))
			})
		})
	}
}

// A request sent through a Transport is a client's, although it has fields of a server's request.
// Its Body is content, its scheme is that of its URL, and the base gets it unchanged.
func TestTransportIgnoresFieldsOfAServersRequest(t *testing.T) {
	var last atomic.Pointer[http.Request]
	door := newCache(t, middleware.Config{}).Transport(answering(func(r *http.Request) *http.Response {
		last.Store(r)
		body := ""
		if r.Body != nil {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
		}
		return respond("for "+body, "Cache-Control", "max-age=60")
	}))
	ask := func(scheme, content string, secure bool) string {
		r, err := http.NewRequest(http.MethodGet, scheme+"://example.test/", nil)
		require.NoError(t, err)
		r.RequestURI = "/inbound"
		if secure {
			r.TLS = new(tls.ConnectionState)
		}
		if content != "" {
			r.Body = io.NopCloser(strings.NewReader(content))
		}
		return roundTrip(t, door, r).body + " " + last.Load().RequestURI
	}
	require.Equal(t, "for  /inbound", ask("http", "", true))
	require.NotNil(t, last.Load().TLS)
	for range 2 {
		require.Equal(t, "for  /inbound", ask("http", "", true))
		require.Equal(t, "for x /inbound", ask("http", "x", true))
		require.Equal(t, "for y /inbound", ask("http", "y", false))
	}
	for _, scheme := range []string{"http", "https"} {
		r, err := http.NewRequest(http.MethodGet, scheme+"://example.test/", nil)
		require.NoError(t, err)
		require.Equal(t, scheme == "http", strings.Contains(roundTrip(t, door, r).status(), "; hit"), scheme)
	}
}
