package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// slowToFinish is a Storage that does not stream and whose writes finish when may is closed.
type slowToFinish struct {
	cirque.Storage
	may <-chan struct{}
}

func (s slowToFinish) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	handler, err := s.Storage.MissHandler(ctx, key, meta, opts)
	return slowMissHandler{handler, s.may}, err
}

type slowMissHandler struct {
	cirque.MissHandler
	may <-chan struct{}
}

func (h slowMissHandler) Finish() (cirque.MissFinish, error) {
	<-h.may
	return h.MissHandler.Finish()
}

// A client has the whole response before the Storage has. Cache.Wait returns when it is stored.
func TestWaitReturnsWhenFillsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		may := make(chan struct{})
		cache := newCache(t, middleware.Config{Storage: slowToFinish{memcache.New(memcache.Config{}), may}})
		asked := 0
		transport := cache.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
			asked++
			w := httptest.NewRecorder()
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", "5")
			_, _ = w.WriteString("whole")
			return w.Result(), nil
		}))
		get := func() {
			response, err := transport.RoundTrip(httptest.NewRequest("GET", "http://example.com/", nil))
			require.NoError(t, err)
			body := make([]byte, response.ContentLength)
			_, err = io.ReadFull(response.Body, body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			require.Equal(t, "whole", string(body))
		}
		get()

		impatient, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, cache.Wait(impatient), context.Canceled)
		waited := make(chan error)
		go func() { waited <- cache.Wait(t.Context()) }()
		synctest.Wait()
		select {
		case <-waited:
			t.Fatal("Wait returned while the write was under way")
		default:
		}
		close(may)
		require.NoError(t, <-waited)
		get()
		require.Equal(t, 1, asked)
		require.NoError(t, cache.Close(t.Context()))
	})
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
