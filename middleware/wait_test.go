package middleware_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// slowFinishStorage is a Storage that does not stream and whose writes finish when finish is
// closed.
type slowFinishStorage struct {
	cirque.Storage
	finish <-chan struct{}
}

func (s slowFinishStorage) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	handler, err := s.Storage.MissHandler(ctx, key, meta, opts)
	return slowMissHandler{handler, s.finish}, err
}

type slowMissHandler struct {
	cirque.MissHandler
	finish <-chan struct{}
}

func (h slowMissHandler) Finish() (cirque.MissFinish, error) {
	<-h.finish
	return h.MissHandler.Finish()
}

// A client has the whole response before the Storage has. Cache.Wait returns when it is stored.
func TestWaitReturnsWhenFillsAreStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finish := make(chan struct{})
		cache := newCache(t, middleware.Config{Storage: slowFinishStorage{memcache.New(memcache.Config{}), finish}})
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
		close(finish)
		require.NoError(t, <-waited)
		get()
		require.Equal(t, 1, asked)
		require.NoError(t, cache.Close(t.Context()))
	})
}
