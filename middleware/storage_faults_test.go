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

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// storageScript answers by path: pages with and without variants, which are fresh, stale, or may be
// served while they are revalidated.
func storageScript(w http.ResponseWriter, r *http.Request) {
	variant := ""
	if r.URL.Path == "/vary" {
		variant = r.Header.Get("X-V")
	}
	w.Header().Set("Etag", fmt.Sprintf("%q", "e"+variant))
	w.Header().Set("Cache-Control", "max-age=60")
	switch r.URL.Path {
	case "/stale":
		aged(w, 100*time.Second)
	case "/swr":
		aged(w, 100*time.Second)
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
	case "/vary":
		w.Header().Set("Vary", "X-V")
	case "/uncacheable":
		w.Header().Set("Cache-Control", "no-store")
	}
	if strings.Contains(r.Header.Get("If-None-Match"), w.Header().Get("Etag")) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	io.WriteString(w, storedBody(r.URL.Path, variant))
}

// storedBody is longer than the room that an entry has beside its meta.
func storedBody(path, variant string) string {
	if path != "/vary" {
		variant = ""
	}
	return strings.Repeat(path+" "+variant+"\n", 8<<10/len(path))
}

// visit sends requests of every kind. Answers may be missing or break off; they must not be wrong.
func (h *harness) visit(rounds int) {
	for range rounds {
		for _, path := range []string{"/fresh", "/stale", "/swr", "/vary", "/uncacheable"} {
			for _, v := range []string{"1", "2"} {
				if path != "/vary" {
					v = ""
				}
				whole := storedBody(path, v)
				h.check("GET", path, v, whole)
				h.check("GET", path, v, whole[100:200], "Range", "bytes=100-199")
				h.check("HEAD", path, v, "")
				h.check("GET", path, v, "", "If-None-Match", fmt.Sprintf("%q", "e"+v))
			}
			h.purgeAnyhow(path, h.cache.SoftPurge)
			h.check("GET", path, "1", storedBody(path, "1"))
		}
		for _, path := range []string{"/fresh", "/vary"} {
			h.purgeAnyhow(path, h.cache.Purge)
			h.try("POST", path)
		}
	}
}

// check sends a request. It fails the test unless the answer is an error, want, or the whole body.
func (h *harness) check(method, path, variant, want string, header ...string) {
	h.t.Helper()
	got := h.try(method, path, append(header, "X-V", variant)...)
	whole := storedBody(path, variant)
	switch {
	case got.err != nil && (strings.HasPrefix(want, got.body) || strings.HasPrefix(whole, got.body)):
	case got.err == nil && got.StatusCode >= 500:
	case got.err == nil && (got.body == want || got.StatusCode == http.StatusOK && got.body == whole):
	default:
		h.t.Errorf("%s %s %q %v: status %d, %d bytes %.50q, %v", method, path, variant, header, got.StatusCode, len(got.body), got.body, got.err)
	}
}

// purgeAnyhow purges and ignores the outcome: a panic of the Storage reaches the caller.
func (h *harness) purgeAnyhow(path string, purge func(context.Context, *http.Request) error) {
	defer func() { _ = recover() }()
	_ = purge(context.Background(), h.requestFor(path))
}

// A Storage may fail, delay or panic at any call of any method. The cache never crashes, hangs or
// serves wrong bytes, nothing that the Storage handed out stays open, and afterwards the cache
// works.
//
// Invariant: every flight that begins ends exactly once, on every path.
func TestFaultyStorageNeverGivesAWrongAnswer(t *testing.T) {
	faults := map[string]faultystorage.Fault{
		"fails":  {Err: errDisk},
		"delays": {Delay: time.Millisecond},
		"panics": {Panic: "storage broken"},
		"tears":  {Err: errDisk, Partial: 10},
	}
	// which call of the method fails, by door; 0 is every call
	nths, rounds := map[string][]int{"handler": {0}, "transport": {2}}, 1
	if longTests() {
		every := []int{0, 1, 2, 3, 4, 7}
		nths, rounds = map[string][]int{"handler": every, "transport": every}, 3
	}
	for _, stores := range []string{"streaming", "not streaming"} {
		for name, fault := range faults {
			for _, op := range faultystorage.Ops() {
				if name == "tears" && op != faultystorage.HitRead && op != faultystorage.MissWrite && op != faultystorage.HitWriteTo {
					continue
				}
				if stores == "not streaming" && !longTests() && !strings.HasPrefix(op.String(), "Miss") {
					continue // Only the writing differs.
				}
				t.Run(fmt.Sprintf("%s/%s/%v", stores, name, op), func(t *testing.T) {
					for door, nths := range nths {
						for _, nth := range nths {
							testFaultyStorage(t, door, stores, op, nth, fault, rounds)
						}
					}
				})
			}
		}
		// The two doors swap their calls.
		nths["handler"], nths["transport"] = nths["transport"], nths["handler"]
	}
}

func testFaultyStorage(t *testing.T, door, stores string, op faultystorage.Op, nth int, fault faultystorage.Fault, rounds int) {
	t.Run(fmt.Sprintf("%s/%d", door, nth), func(t *testing.T) {
		var over atomic.Bool
		script := faultystorage.Nth(op, nth, fault)
		var base cirque.Storage = memcache.New(memcache.Config{})
		if stores == "not streaming" {
			base = notStreaming{base}
		}
		store, tally := faultystorage.Wrap(base, func(op faultystorage.Op, call int) faultystorage.Fault {
			if over.Load() {
				return faultystorage.Fault{}
			}
			return script(op, call)
		})
		h := newHarness(t, door, middleware.Config{Storage: store, LockWait: time.Second}, storageScript)
		h.client.Timeout = 20 * time.Second
		h.visit(rounds)
		over.Store(true)
		for _, path := range []string{"/fresh", "/vary"} {
			for range 2 {
				require.True(t, storedBody(path, "1") == h.get(path, "X-V", "1").body, "the cache must serve the right body after the fault")
			}
		}
		if fault.Panic != nil && door == "transport" && (op == faultystorage.HitRead || op == faultystorage.HitWriteTo || op == faultystorage.HitSeekRange) {
			return // httputil.ReverseProxy owns the body and does not close one that panics.
		}
		eventually(t, func() bool { return len(tally.Open()) == 0 }, "all hit and miss handlers are closed")
	})
}

// If nothing can be stored, the clients of a hot key do not go to the origin one after the other.
// After two failed turns in a row, all waiters are released.
func TestFailedWritesReleaseAllWaiters(t *testing.T) {
	failing := func(streams bool, op faultystorage.Op) middleware.Config {
		var base cirque.Storage = memcache.New(memcache.Config{})
		if !streams {
			base = notStreaming{base}
		}
		store, _ := faultystorage.Wrap(base, faultystorage.Nth(op, 0, faultystorage.Fault{Err: errDisk}))
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
