package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// groupedOrigin answers with the group g and a Date an hour ahead. A POST invalidates the group.
func groupedOrigin(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=600")
	if r.Method == http.MethodPost {
		w.Header().Set("Cache-Group-Invalidation", `"g"`)
		return
	}
	w.Header().Set("Cache-Groups", `"g"`)
	w.Header().Set("Date", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat))
	io.WriteString(w, "body")
}

// host is the Host of all requests in these tests, whichever server is in front.
var host = []string{"Host", "example.com"}

// widePurges are the purges of everything and of groups.
var widePurges = map[string]func(t *testing.T, h *harness){
	"all": func(t *testing.T, h *harness) { require.NoError(t, h.cache.PurgeAll(t.Context())) },
	"group": func(t *testing.T, h *harness) {
		r := h.requestFor("/")
		r.Host = "example.com"
		require.NoError(t, h.cache.PurgeGroup(t.Context(), r, "g"))
	},
	"answer to POST": func(t *testing.T, h *harness) { h.do(http.MethodPost, "/other", host...) },
}

func TestPurgesOfAllAndOfGroupsOutliveARestart(t *testing.T) {
	for name, purge := range widePurges {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := diskcache.Open(dir, nil)
			require.NoError(t, err)
			h := newHarness(t, "handler", middleware.Config{Storage: disk}, groupedOrigin)
			h.get("/", host...)
			require.Contains(t, h.get("/", host...).status(), "; hit")
			purge(t, h)
			require.NoError(t, h.cache.Close(t.Context()))
			require.NoError(t, disk.Close())
			disk, err = diskcache.Open(dir, nil)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, disk.Close()) })
			h.front.Close()
			h.open(middleware.Config{Storage: disk}, nil)
			require.Contains(t, h.get("/", host...).status(), "fwd=uri-miss")
			require.Contains(t, h.get("/", host...).status(), "; hit")
		})
	}
}

// newCacheOnSameStorage returns another cache on the Storage of the first.
func newCacheOnSameStorage(t *testing.T, h *harness, cfg middleware.Config) *harness {
	second := &harness{t: t, door: h.door, origin: h.origin}
	second.open(cfg, nil)
	return second
}

// Two caches on one Storage have the same content. What one purges, the other neither serves nor
// stores if it was being fetched.
func TestCachesOnOneStorageSeeEachOthersPurges(t *testing.T) {
	purges := map[string]func(t *testing.T, h *harness){
		"key": func(t *testing.T, h *harness) {
			r := h.requestFor("/")
			r.Host = "example.com"
			if h.door == "handler" {
				r.URL.Host = r.Host
			}
			if err := h.cache.Purge(t.Context(), r); err != nil {
				require.ErrorIs(t, err, cirque.ErrNotFound)
			}
		},
	}
	for name, purge := range widePurges {
		purges[name] = purge
	}
	eachStorage(t, func(t *testing.T, open func(t *testing.T) cirque.Storage) {
		for name, purge := range purges {
			t.Run(name, func(t *testing.T) {
				var version atomic.Int32
				var hold atomic.Pointer[chan struct{}]
				cfg := middleware.Config{Storage: open(t)}
				eachDoor(t, cfg, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						groupedOrigin(w, r)
						return
					}
					w.Header().Set("Cache-Control", "max-age=600")
					w.Header().Set("Cache-Groups", `"g"`)
					fmt.Fprintf(w, "v%d", version.Load())
					http.NewResponseController(w).Flush()
					if wait := hold.Load(); wait != nil {
						<-*wait
					}
				}, func(t *testing.T, one *harness) {
					other := newCacheOnSameStorage(t, one, cfg)
					version.Store(1)
					one.get("/", host...)
					require.NoError(t, one.cache.Wait(t.Context()))
					require.Contains(t, other.get("/", host...).status(), "; hit")
					version.Store(2)
					purge(t, other)

					wait, release := gate(t)
					hold.Store(&wait)
					first := make(chan reply, 1)
					before := one.requests()
					go func() { first <- one.try(http.MethodGet, "/", host...) }()
					eventually(t, func() bool { return one.requests() > before }, "the request reaches the origin")
					time.Sleep(10 * time.Millisecond)
					version.Store(3)
					purge(t, other)
					hold.Store(nil)
					require.Equal(t, "v3", other.get("/", host...).body)
					release()
					require.Equal(t, "v2", (<-first).body, "a request from before the purge must get its own answer")
					require.NoError(t, one.cache.Wait(t.Context()))
					require.NoError(t, other.cache.Wait(t.Context()))
					require.Equal(t, "v3", one.get("/", host...).body)
					require.Equal(t, "v3", other.get("/", host...).body)
				})
			})
		}
	})
}

// A response with a Date an hour ahead is purged like any other.
func TestResponseDatedAheadDoesNotSurviveAPurge(t *testing.T) {
	for name, purge := range widePurges {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, middleware.Config{}, groupedOrigin, func(t *testing.T, h *harness) {
				for range 2 {
					h.get("/", host...)
					require.Contains(t, h.get("/", host...).status(), "; hit")
					purge(t, h)
					require.Contains(t, h.get("/", host...).status(), "fwd=uri-miss")
				}
			})
		})
	}
}

func TestPurgeThatTheStorageRefusesIsAnError(t *testing.T) {
	dir := t.TempDir()
	disk, err := diskcache.Open(dir, nil)
	require.NoError(t, err)
	cache := newCache(t, middleware.Config{Storage: disk})
	require.NoError(t, cache.PurgeAll(t.Context()))
	require.NoError(t, disk.Close())
	require.ErrorIs(t, cache.PurgeAll(t.Context()), diskcache.ErrClosed)
	r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
	require.NoError(t, err)
	require.ErrorIs(t, cache.PurgeGroup(t.Context(), r, "g"), diskcache.ErrClosed)
}

// The answer to a POST, which could be stored for later GETs, is not stored after a purge that came
// meanwhile.
func TestPurgeOfAllKeepsTheAnswerToAPostFromBeingStored(t *testing.T) {
	for name, purge := range widePurges {
		if name == "answer to POST" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			wait, release := gate(t)
			h := newHarness(t, "handler", middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=600")
				w.Header().Set("Cache-Groups", `"g"`)
				if r.Method == http.MethodPost {
					w.Header().Set("Content-Location", "http://example.com/")
					<-wait
				}
				io.WriteString(w, r.Method)
			})
			posted := make(chan reply, 1)
			go func() { posted <- h.try(http.MethodPost, "/", host...) }()
			eventually(t, func() bool { return h.requests() == 1 }, "the POST reaches the origin")
			purge(t, h)
			release()
			require.Equal(t, "POST", (<-posted).body)
			require.NoError(t, h.cache.Wait(t.Context()))
			require.Equal(t, "GET", h.get("/", host...).body)
		})
	}
}

// A background revalidation does not bring back an entry that was purged meanwhile.
func TestPurgeDuringABackgroundRevalidationHolds(t *testing.T) {
	wait, release := gate(t)
	h := newHarness(t, "handler", middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=600")
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Cache-Groups", `"g"`)
		if r.Header.Get("If-None-Match") != "" {
			<-wait
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Age", "10")
		io.WriteString(w, "body")
	})
	h.get("/", host...)
	require.Contains(t, h.get("/", host...).status(), "; hit")
	eventually(t, func() bool { return h.requests() == 2 }, "the revalidation reaches the origin")
	require.NoError(t, h.cache.PurgeAll(t.Context()))
	release()
	require.NoError(t, h.cache.Wait(t.Context()))
	require.Contains(t, h.get("/", host...).status(), "fwd=uri-miss")
}

// Group names are not kept. However many and however long they are, each takes the few bytes of its
// hash.
func TestMemoryIsBoundedForGroupNames(t *testing.T) {
	count := 400
	long := strings.Repeat("g", 30_000)
	var next atomic.Int64
	script := func(r *http.Request) faulty.Answer {
		if r.Method == http.MethodPost {
			n := next.Add(1)
			return faulty.Answer{Header: http.Header{"Cache-Group-Invalidation": {fmt.Sprintf(`"%d%s"`, n, long)}}}
		}
		return faulty.Answer{Body: "body"}
	}
	h, _ := newFaultyHarness(t, "handler", middleware.Config{MaxBytes: 1 << 20}, script)
	h.do(http.MethodPost, "/")
	before := heapInUse()
	for range count {
		require.Equal(t, http.StatusOK, h.do(http.MethodPost, "/").StatusCode)
	}
	require.Less(t, heapInUse()-before, int64(count*len(long)/4))
}

func heapInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
