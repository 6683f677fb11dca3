package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

func TestSetMaxBytesEvictsAtOnceAndLetsTheCacheGrow(t *testing.T) {
	cache, err := middleware.New(middleware.Config{MaxBytes: 4 << 20})
	require.NoError(t, err)
	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		_, _ = w.Write(make([]byte, 50_000))
	}))
	get := func(i int) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "http://example.test/"+strconv.Itoa(i), nil))
		require.Equal(t, 50_000, w.Body.Len())
	}
	budget := cirque.StorageBudgets(cache.Options().Storage)[0]
	fill := func(limit int64) {
		for i := range 200 {
			get(i)
		}
		require.NoError(t, cache.Wait(t.Context()))
		require.LessOrEqual(t, budget.Used(), limit)
		require.Greater(t, budget.Used(), limit-limit/4)
		require.LessOrEqual(t, cache.Options().Eviction.TotalWeight(), limit)
	}
	fill(4 << 20)
	require.NoError(t, cache.SetMaxBytes(1<<20))
	require.LessOrEqual(t, budget.Used(), int64(1<<20), "before the next request")
	require.Greater(t, budget.Used(), int64(500_000))
	fill(1 << 20)
	require.NoError(t, cache.SetMaxBytes(8<<20))
	fill(8 << 20)

	require.Error(t, cache.SetMaxBytes(middleware.MinMaxBytes-1))
	require.EqualValues(t, 8<<20, budget.Limit())
	own, err := middleware.New(middleware.Config{Storage: memcache.New(memcache.Config{Budget: cirque.NewBudget(1 << 20)})})
	require.NoError(t, err)
	require.Error(t, own.SetMaxBytes(1<<20), "the Storage is not the default one")
}

func TestShareOfMemoryIsAMaxBytes(t *testing.T) {
	_, err := middleware.New(middleware.Config{MaxBytes: middleware.ShareOfMemory(0.01)})
	require.NoError(t, err)
	require.LessOrEqual(t, 2*middleware.ShareOfMemory(0.25), middleware.ShareOfMemory(0.5)+2)
}
