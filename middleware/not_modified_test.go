package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// revisingOrigin is an origin whose content never changes, while the fields of its answers do.
type revisingOrigin struct {
	asked atomic.Int32
	old   atomic.Bool // The answers are stale when they come.
}

func (o *revisingOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := o.asked.Add(1)
	h := w.Header()
	h.Set("Etag", `"e"`)
	h.Set("Cache-Control", "max-age=3600")
	if o.old.Load() {
		h.Set("Cache-Control", "max-age=60")
		aged(w, 100*time.Second)
	}
	h.Set("X-Revision", fmt.Sprint(n))
	h.Set(fmt.Sprint("X-New-", n), "1")
	if !o.old.Load() { // A shared cache would not store a stale answer with a cookie.
		h.Set("Set-Cookie", fmt.Sprint("n=", n))
	}
	h.Set("Content-Language", "de")
	h.Set("Last-Modified", "Thu, 01 Jan 2015 00:00:00 GMT")
	h.Set("Connection", "X-Hop")
	h.Set("X-Hop", "1")
	if strings.Contains(r.Header.Get("If-None-Match"), `"e"`) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", "text/x-test")
	io.WriteString(w, "content")
}

// A client's own condition is answered with the fields that the origin sent, whether the origin
// answered the cache with 304 or 200 (RFC 9110 §5.1, §15.4.5). The next client gets those fields
// that are stored.
func TestNotModifiedCarriesTheFieldsOfTheOrigin(t *testing.T) {
	for _, from := range []string{"304", "200"} {
		t.Run(from, func(t *testing.T) {
			origin := new(revisingOrigin)
			eachDoor(t, middleware.Config{}, origin.ServeHTTP, func(t *testing.T, h *harness) {
				origin.asked.Store(0)
				n := 1
				if from == "304" {
					h.get("/")
					n++
				}
				require.NoError(t, h.cache.Wait(t.Context()))
				r := h.get("/", "If-None-Match", `"e"`, "Cache-Control", "no-cache")
				require.Equal(t, http.StatusNotModified, r.StatusCode)
				require.Contains(t, r.status(), "fwd-status="+from)
				require.Equal(t, fmt.Sprint("n=", n), r.setCookies())
				require.Equal(t, fmt.Sprint(n), r.Header.Get("X-Revision"))
				require.Equal(t, "1", r.Header.Get(fmt.Sprint("X-New-", n)))
				require.Equal(t, `"e"`, r.Header.Get("Etag"))
				require.Equal(t, "max-age=3600", r.Header.Get("Cache-Control"))
				require.Len(t, r.Header["Date"], 1)
				for _, name := range []string{"X-Hop", "Content-Type", "Content-Length", "Content-Encoding", "Age"} {
					require.Empty(t, r.Header[name], name)
				}
				if from == "200" {
					// A 304 made from a 200 has only the metadata that it needs.
					require.Empty(t, r.Header["Content-Language"])
					require.Empty(t, r.Header["Last-Modified"])
				}
				require.NoError(t, h.cache.Wait(t.Context()))
				next := h.get("/")
				require.Contains(t, next.status(), "; hit")
				require.Empty(t, next.setCookies())
				require.Equal(t, "content", next.body)
				require.Equal(t, fmt.Sprint(n), next.Header.Get("X-Revision"))
				require.Equal(t, "1", next.Header.Get(fmt.Sprint("X-New-", n)))
				require.Empty(t, h.get("/", "If-None-Match", `"e"`).setCookies())
			})
		})
	}
}

// Two caches in a row, with a server between them. A validation that the upstream cache makes
// brings new fields and freshness to the entry of the downstream one, and a cookie to the client of
// the request.
func TestTwoCachesInARowKeepEachOtherFresh(t *testing.T) {
	for _, upstreamDoor := range []string{"handler", "transport"} {
		t.Run("upstream "+upstreamDoor, func(t *testing.T) {
			origin := new(revisingOrigin)
			server := httptest.NewServer(origin)
			t.Cleanup(server.Close)
			upstream := newCache(t, middleware.Config{Name: "Upstream"})
			transport := &http.Transport{DisableCompression: true}
			t.Cleanup(transport.CloseIdleConnections)
			up := newFront(upstream, upstreamDoor, server.URL, transport, t)
			eachDoor(t, middleware.Config{Name: "Downstream"}, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, h *harness) {
				h.front.Close()
				h.front = newFront(h.cache, h.door, up.URL, transport, t)
				origin.asked.Store(0)
				origin.old.Store(true)
				settle := func() {
					require.NoError(t, upstream.Wait(t.Context()))
					require.NoError(t, h.cache.Wait(t.Context()))
				}
				path := "/" + h.door
				h.get(path)
				settle() // The entries of both are stale now.
				origin.old.Store(false)
				r := h.get(path)
				require.Equal(t, "content", r.body)
				require.Equal(t, "n=2", r.setCookies())
				require.Equal(t, "1", r.Header.Get("X-New-2"))
				require.Contains(t, r.status(), "Upstream; fwd=stale; fwd-status=304; stored")
				require.Contains(t, strings.Join(r.Header["Cache-Status"], ", "), "Downstream; fwd=stale; fwd-status=304; stored")
				require.Equal(t, int32(2), origin.asked.Load(), "both caches must share one validation")
				settle()
				for range 2 {
					hit := h.get(path)
					require.Contains(t, strings.Join(hit.Header["Cache-Status"], ", "), "Downstream; hit")
					require.Equal(t, "content", hit.body)
					require.Empty(t, hit.setCookies())
					require.Equal(t, "2", hit.Header.Get("X-Revision"))
					require.Equal(t, "1", hit.Header.Get("X-New-2"))
					require.Equal(t, "max-age=3600", hit.Header.Get("Cache-Control"))
				}
				require.Equal(t, int32(2), origin.asked.Load())
				// A reload passes both.
				r = h.get(path, "Cache-Control", "no-cache")
				require.Equal(t, "n=3", r.setCookies())
				settle()
				require.Equal(t, "3", h.get(path).Header.Get("X-Revision"))
				require.Equal(t, int32(3), origin.asked.Load())
				// The upstream cache has lost the entry: its 200 becomes a 304 downstream.
				target := h.front.URL
				if upstreamDoor == "transport" {
					target = server.URL
				}
				lost, err := http.NewRequest(http.MethodGet, target+path, nil)
				require.NoError(t, err)
				lost.Host = h.front.Listener.Addr().String()
				require.NoError(t, upstream.Purge(t.Context(), lost))
				r = h.get(path, "Cache-Control", "no-cache")
				require.Equal(t, "content", r.body)
				require.Equal(t, "n=4", r.setCookies())
				settle()
				hit := h.get(path)
				require.Empty(t, hit.setCookies())
				require.Equal(t, "4", hit.Header.Get("X-Revision"))
				require.Equal(t, "1", hit.Header.Get("X-New-4"))
				require.Equal(t, int32(4), origin.asked.Load())
			})
		})
	}
}

// A 304 that forbids storing ends the stored response, whoever asked (RFC 9111 §4.3.4). A refusal
// that only this client's request caused leaves it stored for others.
func TestNotModifiedThatForbidsStoringEndsTheEntry(t *testing.T) {
	for name, c := range map[string]struct {
		update  string // the Cache-Control of the 304
		request []string
		ended   bool
	}{
		"private":                      {"private", nil, true},
		"private, Authorization":       {"private", []string{"Authorization", "x"}, true},
		"private and max-age":          {"private, max-age=60", []string{"Authorization", "x"}, true},
		"no-store, Authorization":      {"no-store", []string{"Authorization", "x"}, true},
		"private, request no-store":    {"private", []string{"Cache-Control", "no-store, no-cache"}, true},
		"Authorization alone":          {"max-age=60", []string{"Authorization", "x"}, false},
		"request no-store alone":       {"max-age=60", []string{"Cache-Control", "no-store, no-cache"}, false},
		"public despite Authorization": {"public, max-age=60", []string{"Authorization", "x"}, false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			t.Run(name+" "+method, func(t *testing.T) {
				origin := func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Etag", `"e"`)
					w.Header().Set("Cache-Control", "max-age=600")
					w.Header().Set("Content-Length", "6")
					if r.Header.Get("If-None-Match") != "" || r.Method == http.MethodHead {
						w.Header().Set("Cache-Control", c.update)
						w.Header().Set("X-Update", "1")
						if r.Method == http.MethodGet {
							w.Header().Del("Content-Length")
							w.WriteHeader(http.StatusNotModified)
						}
						// Without this call nothing would be taken from the answer to HEAD.
						w.WriteHeader(http.StatusOK)
						return
					}
					io.WriteString(w, "public")
				}
				eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
					b.get("/")
					require.NoError(t, b.cache.Wait(t.Context()))
					require.Contains(t, b.get("/").status(), "; hit")
					response, err := b.ask(t.Context(), method, "/", append([]string{"Cache-Control", "no-cache"}, c.request...)...)
					require.NoError(t, err)
					body, err := io.ReadAll(response.Body)
					require.NoError(t, err)
					response.Body.Close()
					if method == http.MethodGet {
						require.Equal(t, "public", string(body), "the stored body must answer the validated request")
					}
					require.Equal(t, "1", response.Header.Get("X-Update"))
					require.NoError(t, b.cache.Wait(t.Context()))
					next := b.get("/")
					require.Equal(t, "public", next.body)
					require.Equal(t, c.ended, !strings.Contains(next.status(), "; hit"), next.status())
				})
			})
		}
	}
}
