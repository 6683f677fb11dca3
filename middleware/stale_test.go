package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// Stale-while-revalidate serves the stale response at once and revalidates once, in the background.
// The next request gets the new response.
func TestStaleWhileRevalidateServesAtOnceAndRevalidatesOnce(t *testing.T) {
	var version atomic.Int32
	var gate atomic.Pointer[chan struct{}]
	origin := func(w http.ResponseWriter, r *http.Request) {
		n := version.Add(1)
		if n > 1 {
			<-*gate.Load()
		}
		w.Header().Set("Cache-Control", "max-age=100, stale-while-revalidate=100")
		if n == 1 {
			aged(w, 150*time.Second)
		}
		fmt.Fprintf(w, "v%d", n)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		version.Store(0)
		g := make(chan struct{})
		gate.Store(&g)
		require.Equal(t, "v1", h.get("/").body)
		for range 5 {
			r := h.get("/") // at once, although the origin hangs
			require.Equal(t, "v1", r.body)
			require.Contains(t, r.status(), "; hit; ttl=-")
		}
		close(g)
		eventually(t, func() bool { return h.get("/").body == "v2" }, "the new version is served")
		require.Equal(t, 2, h.requests())
	})
}

func TestStaleIfErrorStandsInForServerErrors(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 0} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var down atomic.Bool
			origin := func(w http.ResponseWriter, r *http.Request) {
				if down.Load() {
					if status == 0 {
						panic(http.ErrAbortHandler)
					}
					w.WriteHeader(status)
					return
				}
				cc := "max-age=1, stale-if-error=100"
				switch r.URL.Path {
				case "/must":
					cc += ", must-revalidate"
				case "/shared":
					cc += ", s-maxage=1"
				case "/nocache":
					cc += ", no-cache"
				}
				w.Header().Set("Cache-Control", cc)
				aged(w, 10*time.Second)
				io.WriteString(w, "good")
			}
			eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
				down.Store(false)
				for _, path := range []string{"/", "/must", "/shared", "/nocache"} {
					require.Equal(t, "good", h.get(path).body)
				}
				down.Store(true)
				r := h.get("/")
				require.Equal(t, "good", r.body)
				require.Equal(t, 200, r.StatusCode)
				for _, path := range []string{"/must", "/shared", "/nocache"} {
					require.GreaterOrEqual(t, h.get(path).StatusCode, 500, path)
				}
			})
		})
	}
}

// A failure to store is no error of the origin: waiters do not get a stale response for it (RFC
// 5861 §4).
func TestStaleIfErrorDoesNotCoverStorageFailures(t *testing.T) {
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			var full, slow atomic.Bool
			store, _ := faultystorage.Wrap(notStreaming{memcache.New(memcache.Config{})}, faultWhile(faultystorage.MissFinish, full.Load, faultystorage.Fault{Err: errDisk}))
			hold, release := gate(t)
			var version atomic.Int32
			h := newHarness(t, door, middleware.Config{Storage: store}, func(w http.ResponseWriter, _ *http.Request) {
				n := version.Add(1)
				if slow.Load() {
					<-hold
				}
				w.Header().Set("Cache-Control", "max-age=1, stale-if-error=100")
				fmt.Fprintf(w, "v%d", n)
			})
			require.Equal(t, "v1", h.get("/").body)
			require.NoError(t, h.cache.Wait(t.Context()))
			// Stale now. Requests would not wait for a response that was stale when it came.
			time.Sleep(1100 * time.Millisecond)
			full.Store(true)
			slow.Store(true)
			bodies := make(chan string, 10)
			for range cap(bodies) {
				go func() { bodies <- h.try("GET", "/").body }()
			}
			eventually(t, func() bool { return h.requests() == 2 }, "one of them reaches the origin")
			time.Sleep(20 * time.Millisecond) // The others wait, or come later.
			release()
			for range cap(bodies) {
				require.NotEqual(t, "v1", <-bodies)
			}
		})
	}
}
