package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
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

// A 304 freshens the entry for good: the next request is a hit, with the new fields.
func TestNotModifiedFreshensTheEntry(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.Header.Get("If-None-Match") == `"e"` {
			w.Header().Set("X-Version", "2")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		aged(w, 100*time.Second)
		w.Header().Set("X-Version", "1")
		io.WriteString(w, "body")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		h.get("/")
		second, third := h.get("/"), h.get("/")
		require.Contains(t, second.status(), "fwd=stale; fwd-status=304")
		require.Contains(t, third.status(), "; hit")
		for _, r := range []reply{second, third} {
			require.Equal(t, "body", r.body)
			require.Equal(t, "2", r.Header.Get("X-Version"))
		}
		require.Equal(t, 2, h.requests())
	})
}

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

func TestUnsafeMethodsInvalidateTargetAndLocation(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("x")(w, r)
			return
		}
		w.Header().Set("Location", "/other")
		w.Header().Set("Content-Location", "http://elsewhere.test/third")
		if r.URL.Query().Get("fail") != "" {
			w.WriteHeader(500)
		}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "FROB"} {
			for _, path := range []string{"/", "/other", "/third"} {
				h.get(path)
				require.Contains(t, h.get(path).status(), "; hit")
			}
			h.do(method, "/?fail=1")
			require.Contains(t, h.get("/").status(), "; hit")
			h.do(method, "/")
			for path, hit := range map[string]bool{"/": false, "/other": false, "/third": true} {
				require.Equal(t, hit, strings.Contains(h.get(path).status(), "; hit"), method+path)
			}
		}
	})
}

// A failure to store is no error of the origin: waiters do not get a stale response for it (RFC
// 5861 §4).
func TestStaleIfErrorDoesNotCoverStorageFailures(t *testing.T) {
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			var full, slow atomic.Bool
			store, _ := faultystorage.Wrap(notStreaming{memcache.New(memcache.Config{})}, func(op faultystorage.Op, _ int) faultystorage.Fault {
				if op == faultystorage.MissFinish && full.Load() {
					return faultystorage.Fault{Err: errDisk}
				}
				return faultystorage.Fault{}
			})
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
