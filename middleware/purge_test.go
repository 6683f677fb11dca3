package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

func TestPurgeRemovesEveryVariant(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X-V")
		io.WriteString(w, r.Header.Get("X-V"))
	}
	eachDoor(t, middleware.Config{AuthorizePurge: func(r *http.Request) bool { return r.Header.Get("X-Admin") == "1" }}, origin, func(t *testing.T, h *harness) {
		variants := []string{"a", "b", "c"}
		for range 2 {
			for _, v := range variants {
				require.Equal(t, v, h.get("/", "X-V", v).body)
			}
		}
		require.Equal(t, 3, h.requests())
		require.NoError(t, h.purge("/"))
		for _, v := range variants {
			r := h.get("/", "X-V", v)
			require.Equal(t, v, r.body)
			require.Contains(t, r.status(), "stored")
		}
		require.Equal(t, 6, h.requests())
		require.NoError(t, h.purge("/"))
		require.ErrorIs(t, h.purge("/"), cirque.ErrNotFound)
	})
}

func TestPurgeMethodNeedsAuthorizePurge(t *testing.T) {
	h := newHarness(t, "handler", middleware.Config{}, fresh("x"))
	h.get("/")
	require.Equal(t, http.StatusForbidden, h.do("PURGE", "/").StatusCode)
	require.Contains(t, h.get("/").status(), "; hit")
	require.Equal(t, 1, h.requests())

	open := newHarness(t, "handler", middleware.Config{
		AuthorizePurge: func(r *http.Request) bool { return r.Header.Get("X-Admin") == "1" },
	}, fresh("x"))
	open.get("/")
	require.Equal(t, 403, open.do("PURGE", "/").StatusCode)
	require.Equal(t, 200, open.do("PURGE", "/", "X-Admin", "1").StatusCode)
	require.Equal(t, 404, open.do("PURGE", "/", "X-Admin", "1").StatusCode)
	require.Contains(t, open.get("/").status(), "fwd=uri-miss")
}

func TestSoftPurgeMarksTheEntryStale(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(304)
			return
		}
		io.WriteString(w, "x")
	}
	h := newHarness(t, "handler", middleware.Config{AuthorizePurge: always}, origin)
	h.get("/")
	require.Equal(t, 200, h.do("PURGE", "/", "Soft-Purge", "1").StatusCode)
	require.Contains(t, h.get("/").status(), "fwd=stale; fwd-status=304")
	require.Contains(t, h.get("/").status(), "; hit")
	require.NoError(t, h.cache.PurgeAll(t.Context()))
	require.Contains(t, h.get("/").status(), "fwd=uri-miss")
	require.Contains(t, h.get("/").status(), "; hit")
}

// A response whose fetch began before a purge, or before an unsafe request, is not served after it.
func TestPurgeKeepsOlderFetchesFromBeingServed(t *testing.T) {
	for _, moment := range []string{"before the header", "in the body"} {
		for _, how := range []string{"purge", "post"} {
			t.Run(moment+" "+how, func(t *testing.T) {
				var gate atomic.Pointer[chan struct{}]
				var version atomic.Int32
				origin := func(w http.ResponseWriter, r *http.Request) {
					if r.Method == "POST" {
						version.Add(1)
						return
					}
					v := version.Load()
					if r.URL.Query().Get("vary") != "" {
						w.Header().Set("Vary", "X-V")
					}
					w.Header().Set("Cache-Control", "max-age=60")
					wait := func() {
						if g := gate.Load(); g != nil {
							<-*g
						}
					}
					if moment == "before the header" {
						wait()
					}
					fmt.Fprintf(w, "v%d ", v)
					http.NewResponseController(w).Flush()
					wait()
					io.WriteString(w, "end")
				}
				eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
					for _, path := range []string{"/p", "/p?vary=1"} {
						g := make(chan struct{})
						gate.Store(&g)
						asked := h.requests()
						before := fmt.Sprintf("v%d end", version.Load())
						first := make(chan reply)
						go func() { first <- h.get(path) }()
						eventually(t, func() bool { return h.requests() == asked+1 }, "the request reaches the origin")
						if moment == "in the body" {
							// The header may arrive meanwhile; the outcome must not depend on it.
							time.Sleep(20 * time.Millisecond)
						}
						if how == "purge" {
							version.Add(1)
							_ = h.purge(path)
						} else {
							require.Equal(t, 200, h.do("POST", path).StatusCode)
						}
						gate.Store(nil)
						after := h.get(path)
						require.Equal(t, fmt.Sprintf("v%d end", version.Load()), after.body)
						close(g)
						r := <-first
						require.Equal(t, before, r.body, "a request from before must get its own answer")
						require.Equal(t, after.body, h.get(path).body)
					}
				})
			})
		}
	}
}

// A purge goes on to the entries of the other door after it failed at one.
func TestPurgeReachesBothDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
			faultWhile(faultystorage.MissHandler, slow.Load, faultystorage.Fault{Delay: 4 * time.Second}))
		cache := newCache(t, middleware.Config{Storage: storage})
		var state atomic.Value
		state.Store("before")
		origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fresh(state.Load().(string))(w, r) })
		handler := &bubble{t: t, cache: cache, door: serving{cache.Handler(origin)}}
		transport := &bubble{t: t, cache: cache, door: cache.Transport(serving{origin})}
		require.Equal(t, "before", transport.get("/").body)
		synctest.Wait()
		slow.Store(true)
		go handler.get("/")
		synctest.Wait()
		state.Store("after")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, handler.purge(ctx), context.DeadlineExceeded)
		time.Sleep(10 * time.Second)
		slow.Store(false)
		require.Equal(t, "after", transport.get("/").body)
		require.Equal(t, "after", handler.get("/").body)
		require.NoError(t, cache.Close(t.Context()))
	})
}

// If a URL was purged after a POST to it was sent, the answer to the POST is not stored. The
// invalidation by the POST itself does not count as such a purge.
func TestPurgeOfAURLKeepsTheAnswerToAPostFromBeingStored(t *testing.T) {
	for _, purged := range []bool{false, true} {
		t.Run(fmt.Sprint("purged ", purged), func(t *testing.T) {
			eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					fresh("got")(w, r)
					return
				}
				w.Header().Set("Content-Location", "http://example.com/")
				time.Sleep(2 * time.Second)
				fresh("posted")(w, r)
			}, func(t *testing.T, b *bubble) {
				answered := make(chan *http.Response)
				go func() {
					res, err := b.ask(t.Context(), http.MethodPost, "/")
					require.NoError(t, err)
					answered <- res
				}()
				time.Sleep(time.Second)
				want := "posted"
				if purged {
					want = "got"
					require.ErrorIs(t, b.purge(t.Context()), cirque.ErrNotFound)
				}
				res := <-answered
				_, err := io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				synctest.Wait()
				require.Equal(t, want, b.get("/").body)
				require.NoError(t, b.cache.Close(t.Context()))
			})
		})
	}
}

// A purge during the POST's own invalidation has the same effect.
func TestPurgeDuringThePostsOwnInvalidationCounts(t *testing.T) {
	for _, purged := range []bool{false, true} {
		t.Run(fmt.Sprint("purged ", purged), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
					faultystorage.Nth(faultystorage.Purge, 1, faultystorage.Fault{Delay: 2 * time.Second}))
				cache := newCache(t, middleware.Config{Storage: storage})
				b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Location", "http://example.com/")
					fresh(r.Method)(w, r)
				}))}}
				want := http.MethodPost
				if purged {
					want = http.MethodGet
					time.AfterFunc(time.Second, func() {
						_ = b.purge(t.Context())
					})
				}
				res, err := b.ask(t.Context(), http.MethodPost, "/")
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, res.Body)
				require.NoError(t, err)
				require.NoError(t, res.Body.Close())
				time.Sleep(5 * time.Second)
				require.Equal(t, want, b.get("/").body)
				require.NoError(t, cache.Close(t.Context()))
			})
		})
	}
}

// During a slow purge nothing is stored, and the requests that come reach the origin one after the
// other. After it, one response is shared by all.
func TestSlowPurgeStoresNothingUntilItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
			faultystorage.Nth(faultystorage.Purge, 1, faultystorage.Fault{Delay: 2100 * time.Millisecond}))
		cache := newCache(t, middleware.Config{Storage: storage})
		var asking, asked, most atomic.Int64
		b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), asking.Add(1)))
			asked.Add(1)
			time.Sleep(200 * time.Millisecond)
			asking.Add(-1)
			fresh("body")(w, r)
		}))}}
		go func() { _ = b.purge(t.Context()) }()
		synctest.Wait()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if got := b.get("/").body; got != "body" {
					t.Errorf("got %q", got)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, most.Load())
		require.EqualValues(t, 12, asked.Load(), "eleven requests must reach the origin during the purge, and one after it")
		require.NoError(t, cache.Close(t.Context()))
	})
}
