package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// A fill that nobody reads gives its place to another. After many abandoned requests for slow
// bodies, what users ask for is stored, and fetched once for all that ask at the same time.
func TestAbandonedFillsGiveUpTheirPlaces(t *testing.T) {
	for _, storage := range []string{"streaming", "not streaming"} {
		t.Run(storage, func(t *testing.T) {
			var wait chan struct{}
			origin := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=600")
				io.WriteString(w, "the beginning of "+r.URL.Path)
				http.NewResponseController(w).Flush()
				if strings.HasPrefix(r.URL.Path, "/slow") {
					select {
					case <-wait:
					case <-r.Context().Done():
					}
					return
				}
				time.Sleep(20 * time.Millisecond)
			}
			cfg := middleware.Config{MaxFills: 16}
			if storage == "not streaming" {
				cfg.Storage = notStreaming{memcache.New(memcache.Config{})}
			}
			eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
				var open func()
				wait, open = gate(t)
				for i := range 40 {
					abandon(t, h, fmt.Sprint("/slow/", i))
				}
				for i := range 20 {
					path := fmt.Sprint("/page/", i)
					before := h.requests()
					var users sync.WaitGroup
					var stored atomic.Int32
					for range 10 {
						users.Go(func() {
							got := h.try(http.MethodGet, path)
							if got.err != nil || got.body != "the beginning of "+path {
								t.Errorf("got %q, %v", got.body, got.err)
							}
							if got.Response.Header != nil && strings.Contains(got.status(), "; stored") {
								stored.Add(1)
							}
						})
					}
					users.Wait()
					require.Equal(t, 1, h.requests()-before, "concurrent requests must share one fetch")
					require.EqualValues(t, 1, stored.Load())
					require.Contains(t, h.get(path).status(), "; hit")
				}
				// A cancelled fill's URL can be fetched again at once.
				start := time.Now()
				r, err := http.NewRequest(http.MethodGet, h.front.URL+"/slow/0", nil)
				require.NoError(t, err)
				resp, err := h.client.Do(r)
				require.NoError(t, err)
				require.Less(t, time.Since(start), 2*time.Second)
				require.Contains(t, resp.Header.Get("Cache-Status"), "; stored")
				resp.Body.Close()
				open()
			})
		})
	}
}

// abandon requests path, reads the first bytes of the answer, and leaves.
func abandon(t *testing.T, h *harness, path string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.front.URL+path, nil)
	require.NoError(t, err)
	resp, err := h.client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.ReadFull(resp.Body, make([]byte, 5))
	require.NoError(t, err)
}

// A handler that ignores cancellation keeps its goroutine, but neither its place nor its key.
func TestHandlerThatIgnoresCancellationKeepsNoPlace(t *testing.T) {
	for _, storage := range []string{"streaming", "not streaming"} {
		t.Run(storage, func(t *testing.T) {
			var wait chan struct{}
			var asked atomic.Int32
			origin := func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=600")
				io.WriteString(w, strings.Repeat(r.URL.Path, 1000))
				w.(http.Flusher).Flush()
				if r.URL.Path == "/slow" && asked.Add(1) == 1 {
					<-wait
				}
			}
			cfg := middleware.Config{MaxFills: 1}
			if storage == "not streaming" {
				cfg.Storage = notStreaming{memcache.New(memcache.Config{})}
			}
			synctest.Test(t, func(t *testing.T) {
				wait = make(chan struct{})
				asked.Store(0)
				cache := newCache(t, cfg)
				b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(origin))}}
				ctx, cancel := context.WithCancel(t.Context())
				resp, err := b.ask(ctx, http.MethodGet, "/slow")
				require.NoError(t, err)
				cancel()
				resp.Body.Close()
				synctest.Wait()
				start := time.Now()
				require.Contains(t, b.get("/page").status(), "; stored")
				synctest.Wait()
				require.Contains(t, b.get("/slow").status(), "; stored")
				require.Zero(t, time.Since(start))
				close(wait)
				synctest.Wait()
				require.Contains(t, b.get("/slow").status(), "; hit")
			})
		})
	}
}

// One client cannot take all places, nor can one URL with its variants, as long as others need
// them. A request that finds no place goes to the origin at once, and Cache-Status says so.
func TestNoClientOrURLTakesAllPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait := make(chan struct{})
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=600")
			w.Header().Set("Vary", "X-V")
			io.WriteString(w, "page")
			w.(http.Flusher).Flush()
			if strings.HasPrefix(r.URL.Path, "/slow") {
				<-wait
			}
		}
		cache := newCache(t, middleware.Config{MaxFills: 16})
		door := serving{cache.Handler(http.HandlerFunc(origin))}
		var bodies []io.Closer
		ask := func(address, path, variant string) string {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://example.com"+path, nil)
			r.Body, r.RemoteAddr = nil, address+":1234"
			r.Header.Set("X-V", variant)
			resp, err := door.RoundTrip(r)
			require.NoError(t, err)
			bodies = append(bodies, resp.Body)
			return resp.Header.Get("Cache-Status")
		}
		stored := 0
		for i := range 30 {
			if strings.Contains(ask("192.0.2.1", fmt.Sprint("/slow/", i), ""), "; stored") {
				stored++
			}
		}
		require.Equal(t, 14, stored, "one client must get all places but an eighth")
		require.Contains(t, ask("192.0.2.1", "/page", ""), "detail=too-many-fills")
		require.Contains(t, ask("192.0.2.2", "/other", ""), "; stored")
		require.Contains(t, ask("192.0.2.2", "/slow/x", "1"), "; stored")
		require.Contains(t, ask("192.0.2.3", "/slow/y", "1"), "; stored")
		require.Contains(t, ask("192.0.2.4", "/slow/z", "1"), "detail=too-many-fills")
		close(wait)
		synctest.Wait()
		for _, body := range bodies {
			body.Close()
		}
		require.Contains(t, ask("192.0.2.1", "/again", ""), "; stored")
		synctest.Wait()
		bodies[len(bodies)-1].Close()
	})
}

// A background revalidation whose origin hangs gives its place to another after LockAge.
func TestHangingRevalidationGivesUpItsPlaceAfterLockAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		wait := make(chan struct{})
		origin := func(w http.ResponseWriter, r *http.Request) {
			if hang.Load() && strings.HasPrefix(r.URL.Path, "/slow") {
				select {
				case <-wait:
				case <-r.Context().Done():
				}
			}
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			fmt.Fprint(w, time.Now().Unix())
		}
		cache := newCache(t, middleware.Config{MaxRevalidations: 2, LockAge: 10 * time.Second})
		b := &bubble{t: t, cache: cache, door: cache.Transport(serving{http.HandlerFunc(origin)})}
		paths := []string{"/slow/1", "/slow/2", "/page"}
		for _, path := range paths {
			b.get(path)
		}
		synctest.Wait()
		hang.Store(true)
		time.Sleep(3 * time.Second)
		old := b.get("/slow/1").body
		b.get("/slow/2")
		synctest.Wait()
		page := b.get("/page").body
		synctest.Wait()
		require.Equal(t, page, b.get("/page").body, "the two hanging revalidations hold both places")
		time.Sleep(11 * time.Second)
		require.Equal(t, page, b.get("/page").body, "the stale response must be served while it is revalidated")
		synctest.Wait()
		require.NotEqual(t, page, b.get("/page").body)
		require.Equal(t, old, b.get("/slow/1").body)
		close(wait)
		synctest.Wait()
	})
}

// A background revalidation whose body stops gives up its place after LockAge, and not before.
func TestHangingRevalidationBodyGivesUpItsPlaceAfterLockAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hang atomic.Bool
		wait := make(chan struct{})
		origin := func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
			io.WriteString(w, strings.Repeat("page", 1000))
			w.(http.Flusher).Flush()
			if hang.Load() && r.URL.Path == "/slow" {
				select {
				case <-wait:
				case <-r.Context().Done():
				}
			}
		}
		cache := newCache(t, middleware.Config{MaxFills: 1, LockAge: 10 * time.Second})
		b := &bubble{t: t, cache: cache, door: cache.Transport(serving{http.HandlerFunc(origin)})}
		b.get("/slow")
		synctest.Wait()
		hang.Store(true)
		time.Sleep(3 * time.Second)
		b.get("/slow")
		synctest.Wait()
		require.Contains(t, b.get("/early").status(), "detail=too-many-fills")
		time.Sleep(11 * time.Second)
		require.Contains(t, b.get("/late").status(), "; stored")
		close(wait)
		synctest.Wait()
	})
}
