package middleware_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

func TestSoftMemoryLimitCountsEachMemoryOnce(t *testing.T) {
	const room = 40 << 20
	of := func(storage cirque.Storage) *middleware.Cache {
		cache, err := middleware.New(middleware.Config{Storage: storage, MaxBytes: 4 << 20})
		require.NoError(t, err)
		return cache
	}
	onHeap := memcache.New(memcache.Config{Budget: cirque.NewBudget(600 << 20), Heap: true})
	heap, shared := of(onHeap), of(onHeap)
	spool := int64(5 << 20) // the bodies that are read while a Storage of one's own stores them
	require.EqualValues(t, room+750<<20+spool, middleware.SoftMemoryLimit(heap))
	require.EqualValues(t, room+750<<20+2*spool, middleware.SoftMemoryLimit(heap, shared, heap))

	budget := cirque.NewBudget(400 << 20)
	mapped := of(memcache.New(memcache.Config{Budget: budget}))
	if budget.Medium() == stats.MediumOffHeap {
		require.EqualValues(t, room+850<<20+2*spool, middleware.SoftMemoryLimit(heap, mapped))
	}
	unlimited := of(memcache.New(memcache.Config{}))
	require.EqualValues(t, room+spool, middleware.SoftMemoryLimit(unlimited), "there is no limit to go by")

	disk, err := diskcache.Open(t.TempDir(), &diskcache.Config{MaxBytes: 10 << 30})
	require.NoError(t, err)
	defer disk.Close()
	require.EqualValues(t, room+spool, middleware.SoftMemoryLimit(of(disk)), "files take no memory")
}
