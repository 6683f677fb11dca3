package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// Whoever drives an HttpCache of their own beside the middleware finds what that stored, door by door.
func TestOptionsAndKeysReachWhatIsStored(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
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

func TestConfigRefusesWhatIsWrong(t *testing.T) {
	for name, cfg := range map[string]middleware.Config{
		"MaxBytes":       {MaxBytes: -1},
		"MaxObjectBytes": {MaxObjectBytes: -1},
		"LockWait":       {LockWait: -1},
		"MaxFills":       {MaxFills: -1},
		"ranges":         {Ranges: 7},
		"SingleUser":     {SingleUser: true},
		"EvictionPolicy": {EvictionPolicy: "nonesuch"},
		"Name":           {Name: "a b"},
	} {
		_, err := middleware.New(cfg)
		require.Error(t, err, name)
	}
}

// statelessStorage has nothing to keep purges in.
type statelessStorage struct{ cirque.Storage }

func (statelessStorage) Purges() *cirque.PurgeState { return nil }

func TestStorageWithoutPurges(t *testing.T) {
	_, err := middleware.New(middleware.Config{Storage: statelessStorage{memcache.New(memcache.Config{})}})
	require.ErrorContains(t, err, "Purges")
}
