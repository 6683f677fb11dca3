package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// The scheme of a request is that of its connection, not the one in its absolute form. An unsafe
// request invalidates what a GET for the same target would find. A GET with another scheme in its
// absolute form passes, as the handler sees that scheme.
func TestAbsoluteFormInvalidatesByTheSchemeOfTheConnection(t *testing.T) {
	n := 0
	cache := newCache(t, middleware.Config{})
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		fresh(fmt.Sprint(n))(w, r)
	}))
	ask := func(method, target string) string {
		r := httptest.NewRequest(method, target, nil)
		r.TLS = nil // httptest sets TLS by the scheme of the target.
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Body.String()
	}
	for _, target := range []string{"/x", "http://example.com/x", "https://example.com/x"} {
		plain := ask(http.MethodGet, "/x")
		require.Equal(t, target != "https://example.com/x", plain == ask(http.MethodGet, target), target)
		require.Equal(t, plain, ask(http.MethodGet, "/x"))
		ask(http.MethodPut, target)
		require.NotEqual(t, plain, ask(http.MethodGet, "/x"))
	}
	require.NoError(t, cache.Close(t.Context()))
}

// An unsafe request invalidates although its client has left.
func TestInvalidationOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		cache := newCache(t, middleware.Config{})
		b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				time.Sleep(time.Second)
			}
			n++
			fresh(fmt.Sprint(n))(w, r)
		}))}}
		require.Equal(t, "1", b.get("/").body)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := b.ask(ctx, http.MethodPost, "/")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, cache.Wait(t.Context()))
		require.Equal(t, "3", b.get("/").body)
	})
}

// An unsafe request or a PURGE invalidates an older response that the Storage begins to store
// later, although the client has left.
func TestInvalidationCoversFillsThatAreBeginning(t *testing.T) {
	for _, method := range []string{http.MethodPost, "PURGE"} {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
					faultystorage.Nth(faultystorage.MissHandler, 1, faultystorage.Fault{Delay: 4 * time.Second}))
				cache := newCache(t, middleware.Config{Storage: storage, AuthorizePurge: always})
				state := "before"
				b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						state = "after"
					}
					fresh(state)(w, r)
				}))}}
				go b.get("/")
				synctest.Wait()
				state = "after"
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := b.ask(ctx, method, "/")
				require.ErrorIs(t, err, context.DeadlineExceeded)
				time.Sleep(10 * time.Second)
				require.Equal(t, "after", b.get("/").body)
				require.NoError(t, cache.Close(t.Context()))
			})
		})
	}
}

func TestUnsafeMethodsInvalidateTargetAndLocation(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("x")(w, r)
			return
		}
		w.Header().Set("Location", "/other")
		w.Header().Set("Content-Location", "http://elsewhere.test/third")
		if r.URL.Query().Get("fail") != "" {
			w.WriteHeader(500)
		}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "FROB"} {
			for _, path := range []string{"/", "/other", "/third"} {
				h.get(path)
				require.Contains(t, h.get(path).status(), "; hit")
			}
			h.do(method, "/?fail=1")
			require.Contains(t, h.get("/").status(), "; hit")
			h.do(method, "/")
			for path, hit := range map[string]bool{"/": false, "/other": false, "/third": true} {
				require.Equal(t, hit, strings.Contains(h.get(path).status(), "; hit"), method+path)
			}
		}
	})
}

// Unsafe requests that bypass the cache for other reasons invalidate too.
func TestUnsafeRequestsInvalidateOnEveryPath(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("body")(w, r)
			return
		}
		if r.Header.Get("Expect") == "" {
			return // with the content unread
		}
		io.Copy(w, r.Body)
	}
	for name, cfg := range map[string]middleware.Config{
		"plain":    {},
		"filtered": {RequestFilter: func(r *http.Request) bool { return r.Method == http.MethodGet }},
		"one fill": {MaxFills: 1},
		"private":  {Private: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
				content := func(fields ...string) func() {
					return func() {
						h.raw(faulty.Request{Method: "POST", Target: "/", Fields: fields, Body: strings.Repeat("x", 10_000)})
					}
				}
				for way, send := range map[string]func(){
					"expecting 100-continue": func() {
						r, err := http.NewRequest(http.MethodPost, h.front.URL, strings.NewReader("content"))
						require.NoError(t, err)
						r.Header.Set("Expect", "100-continue")
						resp, err := h.client.Do(r)
						require.NoError(t, err)
						resp.Body.Close()
					},
					"content unread":                     content(),
					"with a field listed":                content("Connection: X-Something", "X-Something: 1"),
					"with an Upgrade that is not listed": content("Upgrade: foo"),
					"with an Upgrade to HTTP/2":          content("Connection: Upgrade", "Upgrade: h2c"),
					"with an If-Match":                   content(`If-Match: "x"`),
				} {
					h.get("/")
					require.Contains(t, h.get("/").status(), "; hit")
					send()
					require.NotContains(t, h.get("/").status(), "; hit", way)
				}
			})
		})
	}
}

// A cache that is closing still invalidates, as its hits are still served.
func TestClosingCacheInvalidates(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("body")(w, r)
		}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, path := range []string{"/a", "/b"} {
			h.get(path)
			require.Contains(t, h.get(path).status(), "; hit")
		}
		require.NoError(t, h.cache.Close(t.Context()))
		require.Contains(t, h.get("/a").status(), "; hit")
		h.do(http.MethodPost, "/a")
		h.do(http.MethodPost, "/b", upgrade...)
		for _, path := range []string{"/a", "/b"} {
			require.NotContains(t, h.get(path).status(), "; hit", path)
		}
	})
}
