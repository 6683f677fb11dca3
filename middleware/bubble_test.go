package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// bubble is a cache with one of its doors in front of a handler, in a synctest bubble and without a
// network.
type bubble struct {
	t     *testing.T
	cache *middleware.Cache
	door  http.RoundTripper
}

// eachBubble runs test with either door, each in a synctest bubble.
func eachBubble(t *testing.T, cfg middleware.Config, origin http.HandlerFunc, test func(t *testing.T, b *bubble)) {
	t.Helper()
	eachBubbleOver(t, cfg, nil, origin, test)
}

// eachBubbleOver is eachBubble with a new Storage for each cache; nil selects the default one.
func eachBubbleOver(t *testing.T, cfg middleware.Config, storage func() cirque.Storage, origin http.HandlerFunc, test func(t *testing.T, b *bubble)) {
	t.Helper()
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, front := cfg, http.Handler(nil)
				// There is no server to take the handler from.
				cfg.Refresh = func(*http.Request) http.Handler { return front }
				if storage != nil {
					cfg.Storage = storage()
				}
				cache := newCache(t, cfg)
				b := &bubble{t: t, cache: cache}
				if door == "handler" {
					front = cache.Handler(origin)
					b.door = serving{front}
				} else {
					b.door = cache.Transport(serving{origin})
				}
				test(t, b)
			})
		})
	}
}

// ask sends a request; header holds name, value pairs. The caller reads and closes the body.
func (b *bubble) ask(ctx context.Context, method, path string, header ...string) (*http.Response, error) {
	r := httptest.NewRequestWithContext(ctx, method, "http://example.com"+path, nil)
	r.Body = nil
	addFields(r.Header, header)
	return b.door.RoundTrip(r)
}

// purge purges what get("/") would find.
func (b *bubble) purge(ctx context.Context) error {
	return b.cache.Purge(ctx, httptest.NewRequest(http.MethodGet, "http://example.com/", nil))
}

// get sends a GET and reads the whole answer.
func (b *bubble) get(path string, header ...string) reply {
	b.t.Helper()
	response, err := b.ask(b.t.Context(), http.MethodGet, path, header...)
	require.NoError(b.t, err)
	return readReply(response)
}

// crowd sends twenty requests at once. It returns the bodies and the time that all of them took.
func (b *bubble) crowd(path string, header func(n int) []string) (bodies [20]string, took time.Duration) {
	began := time.Now()
	var all sync.WaitGroup
	for n := range bodies {
		all.Go(func() { bodies[n] = b.get(path, header(n)...).body })
	}
	all.Wait()
	return bodies, time.Since(began)
}
