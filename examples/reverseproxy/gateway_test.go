package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9110 §7.6.3.
func TestAddsItselfToVia(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		var got atomic.Pointer[http.Request]
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) { got.Store(r.Clone(context.Background())) })
		p := start(t, "-front", front, "-origin", origin)
		ask(t, "GET", p.url)
		require.Equal(t, []string{"1.1 Cirque"}, got.Load().Header["Via"])
		ask(t, "POST", p.url, "Via", "1.0 a", "Via", "2 b")
		require.Equal(t, []string{"1.0 a, 2 b, 1.1 Cirque"}, got.Load().Header["Via"])
	})
}

// RFC 9110 §7.6.2.
func TestObeysMaxForwards(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		var got atomic.Pointer[http.Request]
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) { got.Store(r.Clone(context.Background())) })
		p := start(t, "-front", front, "-origin", origin)
		for _, method := range []string{"OPTIONS", "TRACE"} {
			for value, want := range map[string]string{"3": "2", "1": "0", "x": "x", "-1": "-1", "": ""} {
				got.Store(nil)
				ask(t, method, p.url, "Max-Forwards", value)
				require.NotNil(t, got.Load(), "%s with %q goes on", method, value)
				require.Equal(t, want, got.Load().Header.Get("Max-Forwards"), method)
			}
			got.Store(nil)
			resp, body := ask(t, method, p.url+"/a?b", "Max-Forwards", "0", "X-Test", "1", "Authorization", "secret", "Cookie", "secret")
			require.Nil(t, got.Load(), "%s with 0 ends here", method)
			require.Equal(t, http.StatusOK, resp.StatusCode)
			if method == "OPTIONS" {
				require.Contains(t, resp.Header.Get("Allow"), "GET")
				require.Empty(t, body)
				continue
			}
			require.Equal(t, "message/http", resp.Header.Get("Content-Type"))
			require.Contains(t, body, "TRACE /a?b HTTP/1.1\r\nHost: ")
			require.Contains(t, body, "X-Test: 1\r\n")
			require.NotContains(t, body, "secret")
		}
		got.Store(nil)
		ask(t, "GET", p.url+"/c", "Max-Forwards", "0")
		require.Equal(t, "0", got.Load().Header.Get("Max-Forwards"), "for other methods it has no meaning")
	})
}

// If the origin sends no Content-Type, the client gets none: on a miss, on a hit, and if the
// response is not stored.
func TestAddsNoContentType(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = nil
			w.Header().Set("X-Content-Type-Options", "nosniff")
			if r.URL.Path == "/stored" {
				w.Header().Set("Cache-Control", "max-age=60")
			}
			w.WriteHeader(http.StatusEarlyHints)
			io.WriteString(w, "<html><script>alert(1)</script></html>")
		})
		p := start(t, "-front", front, "-origin", origin)
		for _, path := range []string{"/stored", "/stored", "/passed", "/passed"} {
			resp, body := ask(t, "GET", p.url+path)
			require.Contains(t, body, "<script>")
			require.NotContains(t, resp.Header, "Content-Type", "%s: %s", path, resp.Header["Cache-Status"])
		}
	})
}

// A cache that is cut off from its origin may serve a stale response (RFC 9111 §4.2.4), unless the
// response forbids that.
func TestServesStaleIfTheOriginIsUnreachable(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		for directive, served := range map[string]bool{
			"max-age=1":                    true,
			"max-age=1, stale-if-error=0":  false,
			"max-age=1, must-revalidate":   false,
			"max-age=1, proxy-revalidate":  false,
			"max-age=9, s-maxage=1":        false,
			"max-age=1, no-cache":          false,
			"max-age=1, stale-if-error=60": true,
		} {
			t.Run(directive, func(t *testing.T) {
				origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", directive)
					w.Header().Set("Etag", `"1"`)
					w.Header().Set("Age", "1") // stale when it is received
					io.WriteString(w, "page")
				}))
				defer origin.Close()
				p := start(t, "-front", front, "-origin", origin.URL, "-stale-if-error", "1h")
				_, body := ask(t, "GET", p.url)
				require.Equal(t, "page", body)
				origin.Close()
				resp, body := ask(t, "GET", p.url)
				if served {
					require.Equal(t, "page", body)
					require.Contains(t, resp.Header.Get("Cache-Status"), "detail=stale-if-error")
				} else {
					require.Equal(t, http.StatusBadGateway, resp.StatusCode)
				}
			})
		}
	})
}
