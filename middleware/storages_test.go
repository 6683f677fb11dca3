package middleware_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/tiered"
)

// notStreaming hides that a Storage streams, so that bodies are spooled in memory beside it.
type notStreaming struct{ cirque.Storage }

// Lookup implements cirque.Storage. It hides writes under way, as a Storage that does not stream
// cannot show them.
func (p notStreaming) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	meta, hit, err := p.Storage.Lookup(ctx, key)
	if err == nil && !hit.CountsAccess() {
		_ = hit.Close()
		return nil, nil, cirque.ErrNotFound
	}
	return meta, hit, err
}

var errDisk = errors.New("disk on fire")

// eachStorage runs test over each kind of Storage, diskcache included.
func eachStorage(t *testing.T, test func(t *testing.T, open func(t *testing.T) cirque.Storage)) {
	openDisk := func(t *testing.T) *diskcache.Store {
		disk, err := diskcache.Open(t.TempDir(), nil)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, disk.Close()) })
		return disk
	}
	for name, open := range map[string]func(t *testing.T) cirque.Storage{
		"memory":        func(*testing.T) cirque.Storage { return memcache.New(memcache.Config{}) },
		"disk":          func(t *testing.T) cirque.Storage { return openDisk(t) },
		"not streaming": func(*testing.T) cirque.Storage { return notStreaming{memcache.New(memcache.Config{})} },
		"tiered": func(t *testing.T) cirque.Storage {
			return tiered.New(memcache.New(memcache.Config{}), openDisk(t), tiered.Config{})
		},
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

// eachMemoryStorage runs test over each kind of Storage in memory.
func eachMemoryStorage(t *testing.T, test func(t *testing.T, streams bool, storage func() cirque.Storage)) {
	t.Run("streaming", func(t *testing.T) {
		test(t, true, func() cirque.Storage { return memcache.New(memcache.Config{}) })
	})
	t.Run("not streaming", func(t *testing.T) {
		test(t, false, func() cirque.Storage { return notStreaming{memcache.New(memcache.Config{})} })
	})
	t.Run("tiered", func(t *testing.T) {
		test(t, true, func() cirque.Storage {
			return tiered.New(memcache.New(memcache.Config{}), memcache.New(memcache.Config{}), tiered.Config{})
		})
	})
}

// newStore returns a MemCache with a budget of limit bytes, and the eviction manager that keeps to
// it.
func newStore(t testing.TB, limit int64) (*memcache.MemCache, cirque.EvictionManager) {
	manager, err := eviction.New(eviction.Default, limit)
	require.NoError(t, err)
	budget := cirque.NewBudget(limit)
	store := memcache.New(memcache.Config{Budget: budget})
	budget.EvictWith(manager, store)
	return store, manager
}

// faultWhile returns a script in which every call of op meets fault while active returns true.
func faultWhile(op faultystorage.Op, active func() bool, fault faultystorage.Fault) func(faultystorage.Op, int) faultystorage.Fault {
	return func(called faultystorage.Op, _ int) faultystorage.Fault {
		if called == op && active() {
			return fault
		}
		return faultystorage.Fault{}
	}
}
