package middleware_test

import (
	"context"
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

// A handler behind the cache may send its request to the same cache again, rewritten or not: for a
// page within the page, or because the cache is mounted twice. The inner request does not wait for
// the outer one, which waits for it.
func TestInnerRequestDoesNotWaitForTheOuterOne(t *testing.T) {
	for name, rewrite := range map[string]func(http.Handler) http.Handler{
		"unchanged": func(h http.Handler) http.Handler { return h },
		"rewritten": func(h http.Handler) http.Handler { return http.StripPrefix("/api", h) },
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, middleware.Config{LockWait: 8 * time.Second})
			var asked atomic.Int32
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=3600")
				if asked.Add(1) == 1 {
					w.Header().Set("Age", "100")
				}
				io.WriteString(w, "page")
			})
			server := httptest.NewServer(cache.Handler(rewrite(cache.Handler(cache.Handler(page)))))
			defer server.Close()
			get := func() (status string) {
				response, err := http.Get(server.URL + "/api/page")
				require.NoError(t, err)
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				require.NoError(t, err)
				require.Equal(t, "page", string(body))
				statuses := response.Header["Cache-Status"]
				return statuses[len(statuses)-1]
			}
			began := time.Now()
			require.Contains(t, get(), "; stored")
			require.Contains(t, get(), "stale-while-revalidate")
			require.NoError(t, cache.Wait(t.Context()))
			require.Contains(t, get(), "; hit; ttl=")
			require.NotContains(t, get(), "stale-while-revalidate")
			require.Equal(t, int32(2), asked.Load())
			require.Less(t, time.Since(began), 8*time.Second)
		})
	}
}

// In nested caches, each cache is refreshed by a request that passes the others, and a refresh does
// not cause another.
func TestRefreshPassesOtherCaches(t *testing.T) {
	outer := newCache(t, middleware.Config{Name: "outer"})
	inner := newCache(t, middleware.Config{Name: "inner"})
	var asked, refreshes atomic.Int32
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			refreshes.Add(1)
		}
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=1000")
		fmt.Fprint(w, "v", asked.Add(1))
	})
	h := serve(t, outer.Handler(inner.Handler(page)))
	settled := func() {
		for _, c := range []*middleware.Cache{outer, inner, outer} {
			require.NoError(t, c.Wait(t.Context()))
		}
	}
	require.Equal(t, "v1", h.get("/").body)
	time.Sleep(2100 * time.Millisecond) // the entries of both are stale
	require.Equal(t, "v1", h.get("/").body)
	settled()
	require.EqualValues(t, 2, asked.Load())
	require.EqualValues(t, 1, refreshes.Load(), "the inner cache must validate for the outer one's refresh")
	r := h.get("/")
	require.Equal(t, "v2", r.body)
	require.Contains(t, strings.Join(r.Header.Values("Cache-Status"), ","), "outer; hit")

	// Now only the inner entry is stored: its refresh passes the outer cache.
	require.NoError(t, outer.PurgeAll(t.Context()))
	time.Sleep(2100 * time.Millisecond)
	require.Equal(t, "v2", h.get("/").body)
	settled()
	require.EqualValues(t, 3, asked.Load())
	require.NoError(t, outer.PurgeAll(t.Context()))
	require.Equal(t, "v3", h.get("/").body)
}
