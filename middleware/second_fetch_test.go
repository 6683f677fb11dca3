package middleware_test

import (
	"context"
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

// If the first answer cannot be used, the origin is asked a second time by a request of its own,
// because the router's state has changed with the first. Here the client's range of a body that is
// too large to be stored is fetched.
func TestSecondFetchGoesThroughAllHandlers(t *testing.T) {
	large := strings.Repeat("0123456789", 1000)
	for name, around := range map[string]func(http.Handler) http.Handler{
		"nothing around": func(h http.Handler) http.Handler { return h },
		"a timeout":      func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too late") },
		"refused": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if middleware.IsRefresh(r.Context()) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				h.ServeHTTP(w, r)
			})
		},
		"one at a time": func(h http.Handler) http.Handler {
			free := make(chan struct{}, 1)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case free <- struct{}{}:
				case <-r.Context().Done():
					return
				}
				defer func() { <-free }()
				h.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, middleware.Config{MaxObjectBytes: 1000, LockWait: 100 * time.Millisecond})
			var asked atomic.Int32
			moved := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				// a router's state, which every request changes
				state := r.Context().Value(contextKey{}).(*int)
				if *state++; *state > 1 && name != "refused" && name != "one at a time" {
					t.Error("the second fetch must not use the state of the first")
				}
				w.Header().Set("Cache-Control", "max-age=60")
				http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(large))
			}))
			h := serve(t, around(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				moved.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, new(int))))
			})))
			r := h.get("/", "Range", "bytes=5-9")
			require.Equal(t, http.StatusPartialContent, r.StatusCode)
			require.Equal(t, "56789", r.body)
			require.EqualValues(t, 2, asked.Load())
			require.NoError(t, cache.Close(t.Context()))
		})
	}
}

// A panic of the second fetch reaches the client, even if a handler around the cache recovers it.
func TestPanicInASecondFetchReachesTheClient(t *testing.T) {
	cache := newCache(t, middleware.Config{MaxObjectBytes: 1000})
	inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic("broken")
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10000")
		io.WriteString(w, "0123456789")
	}))
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			defer func() { _ = recover() }()
		}
		inner.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = quiet
	front.Start()
	defer front.Close()
	h := &harness{t: t, front: front, client: front.Client()}
	require.Error(t, h.try("GET", "/", "Range", "bytes=5-9").err)
	require.NoError(t, cache.Close(t.Context()))
}
