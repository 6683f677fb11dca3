package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// A cache may be mounted twice on the way of a request, around a router and around one of its
// handlers. It does not wait for itself, neither on a miss nor for a stale response.
func TestCacheMountedTwiceDoesNotWaitForItself(t *testing.T) {
	var asked atomic.Int32
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=100, stale-while-revalidate=100")
		w.Header().Set("Content-Type", "text/plain")
		if asked.Add(1) == 1 {
			aged(w, 150*time.Second)
		}
		fmt.Fprintf(w, "v%d %s", asked.Load(), r.URL.Path)
	})
	for name, mount := range map[string]func(*middleware.Cache) http.Handler{
		"handler": func(c *middleware.Cache) http.Handler { return c.Handler(c.Handler(page)) },
		"handler behind a router": func(c *middleware.Cache) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a/", http.StripPrefix("/a", c.Handler(http.StripPrefix("/b", page))))
			return c.Handler(mux)
		},
		"handler with another cache between": func(c *middleware.Cache) http.Handler {
			other := newCache(t, middleware.Config{})
			return c.Handler(other.Handler(c.Handler(page)))
		},
		"transport": func(c *middleware.Cache) http.Handler {
			origin := httptest.NewServer(page)
			t.Cleanup(origin.Close)
			proxy, err := newProxy(c, "transport", origin.URL, c.Transport(nil))
			require.NoError(t, err)
			return proxy
		},
	} {
		t.Run(name, func(t *testing.T) {
			asked.Store(0)
			cache := newCache(t, middleware.Config{LockWait: time.Minute})
			front := httptest.NewServer(mount(cache))
			defer front.Close()
			h := &harness{t: t, front: front, client: &http.Client{Transport: front.Client().Transport, Timeout: 10 * time.Second}}
			for i, want := range []string{"v1", "v1", "v2", "v2"} {
				r := h.get("/a/b/c")
				require.Contains(t, r.body, want+" /", "%d: %s", i, r.status())
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				require.NoError(t, cache.Wait(ctx))
				cancel()
			}
			require.EqualValues(t, 2, asked.Load())
			h.get("/a/b/c", "Cache-Control", "no-cache")
			require.Contains(t, h.get("/a/b/c").body, "v3 /")
		})
	}
}
