package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
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

// A purge goes on to the entries of the other door after it failed at one.
func TestPurgeReachesBothDoors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}), func(op faultystorage.Op, _ int) faultystorage.Fault {
			if op == faultystorage.MissHandler && slow.Load() {
				return faultystorage.Fault{Delay: 4 * time.Second}
			}
			return faultystorage.Fault{}
		})
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
