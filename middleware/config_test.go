package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// Options and keys let a caller drive an HttpCache of its own and find what the middleware stored,
// at each door.
func TestOptionsAndKeysFindStoredEntries(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	r := httptest.NewRequest("GET", "http://example.test/a?b", nil)
	cache.Handler(fresh("x")).ServeHTTP(httptest.NewRecorder(), r)
	for door, keyOf := range map[string]func(*http.Request) (cirque.CacheKey, bool){
		"handler": cache.HandlerKey, "transport": cache.TransportKey,
	} {
		key, ok := keyOf(r)
		require.True(t, ok)
		_, hit, err := cache.Options().Storage.Lookup(t.Context(), key)
		if door == "transport" {
			require.ErrorIs(t, err, cirque.ErrNotFound)
			continue
		}
		require.NoError(t, err)
		hit.Close()
	}
	require.False(t, cache.Policy().Private)
}

func TestNewRefusesInvalidConfigs(t *testing.T) {
	for name, cfg := range map[string]middleware.Config{
		"MaxBytes":                {MaxBytes: -1},
		"MaxBytes of 100":         {MaxBytes: 100},
		"MaxBytes just too small": {MaxBytes: middleware.MinMaxBytes - 1},
		"MaxObjectBytes":          {MaxObjectBytes: -1},
		"LockWait":                {LockWait: -1},
		"MaxFills":                {MaxFills: -1},
		"Ranges":                  {Ranges: 7},
		"SingleUser":              {SingleUser: true},
		"EvictionPolicy":          {EvictionPolicy: "nonesuch"},
		"Name":                    {Name: "a b"},
	} {
		_, err := middleware.New(cfg)
		require.Error(t, err, name)
	}
}

// A cache with the smallest MaxBytes stores a response.
func TestSmallestCacheStoresAResponse(t *testing.T) {
	eachDoor(t, middleware.Config{MaxBytes: middleware.MinMaxBytes, MaxObjectBytes: 1 << 40}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		size, _ := strconv.Atoi(r.URL.Path[1:])
		w.Header().Set("Content-Length", r.URL.Path[1:])
		w.Write(make([]byte, size))
	}, func(t *testing.T, h *harness) {
		require.Contains(t, h.get("/400").status(), "; stored")
		require.Contains(t, h.get("/400").status(), "; hit")
		// A response that can never fit is not reported stored, whatever MaxObjectBytes is.
		for _, size := range []int{3900, 4096, 4097} {
			large := h.get(fmt.Sprint("/", size))
			require.NotContains(t, large.status(), "; stored", size)
			require.Contains(t, large.status(), "detail=too-large")
			require.Len(t, large.body, size)
		}
	})
}

// If the origin sends a length, a response that Cache-Status reports stored is stored, however
// little room there is.
func TestResponseReportedStoredIsStored(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		size, _ := strconv.Atoi(query.Get("size"))
		pad, _ := strconv.Atoi(query.Get("pad"))
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", query.Get("size"))
		w.Header().Set("X-Pad", strings.Repeat("x", pad))
		if query.Has("vary") {
			w.Header().Set("Vary", "Accept")
		}
		w.Write(make([]byte, size))
	}
	stored := 0
	for _, maxBytes := range []int64{middleware.MinMaxBytes, 16 << 10} {
		for _, size := range []int{0, 400, 700, 1000, 2000, 4000, 4096, 8000, 12000, 16000} {
			for _, pad := range []int{0, 1000, 1500, 3000, 6000} {
				for _, vary := range []string{"", "&vary"} {
					cache := newCache(t, middleware.Config{MaxBytes: maxBytes, MaxObjectBytes: maxBytes})
					door := cache.Handler(http.HandlerFunc(origin))
					get := func() string {
						w := httptest.NewRecorder()
						door.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprintf("/?size=%d&pad=%d%s", size, pad, vary), nil))
						require.Equal(t, size, w.Body.Len())
						require.NoError(t, cache.Wait(t.Context()))
						return w.Header().Get("Cache-Status")
					}
					first, second := get(), get()
					said := strings.Contains(first, "; stored")
					require.Equal(t, said, strings.Contains(second, "; hit"), "body of %d bytes, limit of %d, field of %d, vary %q: %s", size, maxBytes, pad, vary, first)
					if said {
						stored++
					}
				}
			}
		}
	}
	require.Greater(t, stored, 20)
}

// The same holds for what a Storage of the user's own cannot hold.
func TestResponseReportedStoredIsStoredInAnyStorage(t *testing.T) {
	open := func(t *testing.T) cirque.Storage {
		disk, err := diskcache.Open(t.TempDir(), &diskcache.Config{MaxBytes: 64 << 10})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, disk.Close()) })
		return disk
	}
	memory := func(limit int64) cirque.Storage {
		return memcache.New(memcache.Config{Budget: cirque.NewBudget(limit)})
	}
	for name, storage := range map[string]cirque.Storage{
		"disk":             open(t),
		"memory":           memory(64 << 10),
		"memory over disk": tiered.New(memory(16<<10), open(t), tiered.Config{}),
		"without a limit":  tiered.New(memory(16<<10), memcache.New(memcache.Config{}), tiered.Config{}),
	} {
		cache := newCache(t, middleware.Config{Storage: storage})
		door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			size, _ := strconv.Atoi(r.URL.Path[1:])
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Content-Length", r.URL.Path[1:])
			w.Write(make([]byte, size))
		}))
		for _, size := range []int{30_000, 70_000} {
			get := func() string {
				w := httptest.NewRecorder()
				door.ServeHTTP(w, httptest.NewRequest("GET", fmt.Sprint("/", size), nil))
				require.Equal(t, size, w.Body.Len())
				require.NoError(t, cache.Wait(t.Context()))
				return w.Header().Get("Cache-Status")
			}
			first, second := get(), get()
			fits := size < 64<<10 || name == "without a limit"
			require.Equal(t, fits, strings.Contains(first, "; stored"), "%s: %s", name, first)
			require.Equal(t, fits, strings.Contains(second, "; hit"), "%s: %s", name, second)
		}
	}
}

// Nothing is evicted for a body of more than half of the memory, so none is reported stored.
func TestBodyOfMoreThanHalfOfTheMemoryIsTooLarge(t *testing.T) {
	eachDoor(t, middleware.Config{MaxBytes: 1 << 20, MaxObjectBytes: 900 << 10}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		size, _ := strconv.Atoi(r.URL.Query().Get("size"))
		w.Header().Set("Content-Length", fmt.Sprint(size))
		w.Write(make([]byte, size))
	}, func(t *testing.T, h *harness) {
		for i := range 30 {
			h.get(fmt.Sprintf("/%d?size=%d", i, 100<<10))
		}
		for _, size := range []int{400 << 10, 600 << 10, 800 << 10} {
			path := fmt.Sprintf("/large?size=%d", size)
			stored := strings.Contains(h.get(path).status(), "; stored")
			require.Equal(t, stored, strings.Contains(h.get(path).status(), "; hit"), size)
			require.Equal(t, size <= 512<<10, stored, size)
		}
	})
}

// Without a Logger, failures are logged to slog's default.
func TestFailuresAreLoggedByDefault(t *testing.T) {
	var log bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
	defer slog.SetDefault(before)
	cache := newCache(t, middleware.Config{Storage: failingStorage{purges: new(cirque.PurgeState)}})
	w := httptest.NewRecorder()
	cache.Handler(fresh("page")).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, "page", w.Body.String())
	require.Contains(t, log.String(), "storage failed")
	require.Contains(t, log.String(), errOfFailingStorage.Error())
}

var errOfFailingStorage = errors.New("the storage is away")

// failingStorage fails at every lookup. No other method is called then.
type failingStorage struct {
	cirque.Storage
	purges *cirque.PurgeState
}

func (s failingStorage) Purges() *cirque.PurgeState { return s.purges }

func (failingStorage) Lookup(context.Context, cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	return nil, nil, errOfFailingStorage
}

// A Cache that New did not make panics with a message that says so.
func TestZeroCachePanicsWithAMessage(t *testing.T) {
	const word = "middleware: this Cache was not made by New"
	for _, cache := range []*middleware.Cache{{}, nil} {
		require.PanicsWithValue(t, word, func() { cache.Handler(nil) })
		require.PanicsWithValue(t, word, func() { cache.Transport(nil) })
		require.PanicsWithValue(t, word, func() { _ = cache.Purge(t.Context(), httptest.NewRequest("GET", "/", nil)) })
		require.PanicsWithValue(t, word, func() { cache.Options() })
		require.PanicsWithValue(t, word, func() { _ = cache.Close(t.Context()) })
		require.PanicsWithValue(t, word, func() { _ = cache.Wait(t.Context()) })
		require.PanicsWithValue(t, word, func() { _ = cache.PurgeAll(t.Context()) })
		require.PanicsWithValue(t, word, func() { cache.HandlerKey(httptest.NewRequest("GET", "/", nil)) })
		require.PanicsWithValue(t, word, func() { cache.TransportKey(httptest.NewRequest("GET", "/", nil)) })
		require.PanicsWithValue(t, word, func() { cache.Policy() })
	}
}

// statelessStorage has nowhere to keep purges.
type statelessStorage struct{ cirque.Storage }

func (statelessStorage) Purges() *cirque.PurgeState { return nil }

func TestNewRefusesAStorageWithoutPurges(t *testing.T) {
	_, err := middleware.New(middleware.Config{Storage: statelessStorage{memcache.New(memcache.Config{})}})
	require.ErrorContains(t, err, "Purges")
}
