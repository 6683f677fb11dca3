package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// If nothing can be stored, the clients of a hot key do not go to the origin one after the other.
// After two failed turns in a row, all waiters are released.
func TestFailedWritesReleaseAllWaiters(t *testing.T) {
	failing := func(streams bool, op faultystorage.Op) middleware.Config {
		var base cirque.Storage = memcache.New(memcache.Config{})
		if !streams {
			base = notStreaming{base}
		}
		store, _ := faultystorage.Wrap(base, func(called faultystorage.Op, _ int) faultystorage.Fault {
			if called == op {
				return faultystorage.Fault{Err: errDisk}
			}
			return faultystorage.Fault{}
		})
		return middleware.Config{Storage: store}
	}
	for name, cfg := range map[string]middleware.Config{
		"no write begins":                  failing(true, faultystorage.MissHandler),
		"no write begins, not streaming":   failing(false, faultystorage.MissHandler),
		"writes break off, not streaming":  failing(false, faultystorage.MissWrite),
		"no write finishes, not streaming": failing(false, faultystorage.MissFinish),
		"too many fills":                   {MaxFills: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const fetch = 100 * time.Millisecond
				cache := newCache(t, cfg)
				end := make(chan struct{})
				door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					time.Sleep(fetch)
					w.Header().Set("Cache-Control", "max-age=60")
					io.WriteString(w, strings.Repeat(r.URL.Path, 1000))
					if r.URL.Path == "/busy" {
						<-end
					}
				}))
				get := func(path string) string {
					w := httptest.NewRecorder()
					door.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
					return w.Body.String()
				}
				var clients sync.WaitGroup
				if name == "too many fills" {
					clients.Go(func() { get("/busy") })
					time.Sleep(fetch)
				}
				start := time.Now()
				var hot sync.WaitGroup
				for range 30 {
					hot.Go(func() { require.Equal(t, strings.Repeat("/hot", 1000), get("/hot")) })
				}
				hot.Wait()
				require.LessOrEqual(t, time.Since(start), 3*fetch)
				close(end)
				clients.Wait()
				require.NoError(t, cache.Wait(t.Context()))
			})
		})
	}
}
