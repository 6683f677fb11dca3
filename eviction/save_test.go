package eviction_test

import (
	"context"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// fill admits keys 0 to n-1 with different weights and tags, and uses some of them more than once.
// No entry becomes stale during the test.
func fill(m cirque.EvictionManager, n int) {
	for i := range n {
		k := key(i)
		if i%5 == 0 {
			k.UserTag = "ann"
		}
		m.Admit(k, weight(i), time.Now().Add(time.Duration(i+1)*time.Hour), time.Duration(i)*time.Millisecond)
		for j := range i % 4 {
			m.Access(key(i/(j+2)), weight(i/(j+2)), time.Time{})
		}
		if i%50 == 49 {
			m.Evict(weight(i)) // moves hands and clocks
		}
	}
}

// weight differs for every key, so that no two priorities are equal by chance.
func weight(i int) int64 { return int64(1000 + 7*i) }

func drain(m cirque.EvictionManager) []cirque.CompactCacheKey { return m.Evict(math.MaxInt64) }

func newManager(t *testing.T, name string, limit int64) cirque.EvictionManager {
	t.Helper()
	m, err := eviction.New(name, limit)
	require.NoError(t, err)
	return m
}

func TestSaveAndLoadKeepTheOrder(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, name string) {
		fill(m, 500)
		dir := filepath.Join(t.TempDir(), "new", "directory")
		require.NoError(t, m.Save(t.Context(), dir))

		loaded := newManager(t, name, 1<<30)
		require.NoError(t, loaded.Load(t.Context(), dir))
		require.Equal(t, m.TotalWeight(), loaded.TotalWeight())
		require.Equal(t, m.TotalItems(), loaded.TotalItems())
		require.Zero(t, loaded.EvictedItems())
		if name == "lru" {
			// The order of the shards is random.
			require.ElementsMatch(t, numbers(drain(m)), numbers(drain(loaded)))
			return
		}
		want, got := drain(m), drain(loaded)
		require.Equal(t, numbers(want), numbers(got))
		require.True(t, slices.Equal(want, got), "keys or tags differ")
	})
}

func TestLRUShardsKeepTheirOrder(t *testing.T) {
	of := func(shards int) *eviction.LRU {
		l, err := eviction.NewLRU(eviction.LRUConfig{Config: eviction.Config{Limit: 1 << 30}, Shards: shards})
		require.NoError(t, err)
		return l
	}
	saved := of(8)
	fill(saved, 500)
	dir := t.TempDir()
	require.NoError(t, saved.Save(t.Context(), dir))

	same := of(8)
	require.NoError(t, same.Load(t.Context(), dir))
	for i := range 8 {
		key, weight, ok := saved.PeekLRU(i)
		gotKey, gotWeight, gotOK := same.PeekLRU(i)
		require.Equal(t, key, gotKey)
		require.Equal(t, weight, gotWeight)
		require.Equal(t, ok, gotOK)
	}

	// A state that goes from one shard to eight and back to one keeps its order.
	single := of(1)
	fill(single, 500)
	singleSaved, fromMany := t.TempDir(), of(1)
	require.NoError(t, single.Save(t.Context(), singleSaved))
	many := of(8)
	require.NoError(t, many.Load(t.Context(), singleSaved))
	manySaved := t.TempDir()
	require.NoError(t, many.Save(t.Context(), manySaved))
	require.NoError(t, fromMany.Load(t.Context(), manySaved))
	require.Equal(t, numbers(drain(single)), numbers(drain(fromMany)))
}

func TestLoadWithinTheLimit(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, name string) {
		fill(m, 500)
		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))

		const limit = 100_000
		small := newManager(t, name, limit)
		require.NoError(t, small.Load(t.Context(), dir))
		require.LessOrEqual(t, small.TotalWeight(), int64(limit))
		require.Greater(t, small.TotalWeight(), int64(limit-6000))
		// The entries that would have left last are kept. SIEVE keeps the newest: which ones its
		// hand will spare is unknown.
		if name == "lru" || name == "sieve" || name == "s3-fifo" {
			return
		}
		all, kept := numbers(drain(m)), numbers(drain(small))
		require.Equal(t, all[len(all)-len(kept):], kept)
	})
}

func TestLoadBesideWhatIsTracked(t *testing.T) {
	each(t, 10_000, func(t *testing.T, m cirque.EvictionManager, name string) {
		m.Admit(key(1), 1000, time.Time{}, 0)
		m.Admit(key(2), 1000, time.Time{}, 0)
		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))

		busy := newManager(t, name, 10_000)
		busy.Admit(key(2), 5000, time.Time{}, 0)
		busy.Admit(key(3), 1000, time.Time{}, 0)
		require.NoError(t, busy.Load(t.Context(), dir))
		require.EqualValues(t, 7000, busy.TotalWeight(), "Load changed a tracked entry")
		require.Equal(t, 3, busy.TotalItems())
		if name != "lru" && name != "gdsf" {
			require.Equal(t, []int{1}, numbers(busy.Evict(1)), "a loaded entry does not leave first")
		}
	})
}

func TestPoliciesLoadEachOthersStates(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, name string) {
		fill(m, 300)
		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))
		for _, other := range eviction.Names() {
			loaded := newManager(t, other, 1<<30)
			require.NoError(t, loaded.Load(t.Context(), dir))
			require.Equal(t, m.TotalWeight(), loaded.TotalWeight())
			require.Len(t, drain(loaded), m.TotalItems())
		}
	})
}

func TestDamagedPartIsSkippedAndReported(t *testing.T) {
	each(t, 1<<40, func(t *testing.T, m cirque.EvictionManager, name string) {
		const n = 5000 // enough for two parts even in one shard
		for i := range n {
			m.Admit(numbered(i), 100, time.Time{}, 0)
		}
		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))
		parts, err := filepath.Glob(filepath.Join(dir, "*"))
		require.NoError(t, err)
		require.Greater(t, len(parts), 1)
		b, err := os.ReadFile(parts[0])
		require.NoError(t, err)
		b[len(b)/3]++
		require.NoError(t, os.WriteFile(parts[0], b, 0o600))

		loaded := newManager(t, name, 1<<40)
		err = loaded.Load(t.Context(), dir)
		require.ErrorIs(t, err, eviction.ErrDamaged)
		require.ErrorContains(t, err, parts[0])
		require.NotContains(t, err.Error(), parts[1])
		require.Less(t, loaded.TotalItems(), n)
		require.Greater(t, loaded.TotalItems(), n/2-n/8)
		require.EqualValues(t, 100*loaded.TotalItems(), loaded.TotalWeight())
	})
}

func TestSaveReplacesWhatWasSaved(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, name string) {
		fill(m, 100)
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "123.tmp.eviction"), []byte("left by a crash"), 0o600))
		require.NoError(t, m.Save(t.Context(), dir))
		drain(m)
		m.Admit(key(7), 10, time.Time{}, 0)
		require.NoError(t, m.Save(t.Context(), dir))

		loaded := newManager(t, name, 1<<30)
		require.NoError(t, loaded.Load(t.Context(), dir))
		require.Equal(t, 1, loaded.TotalItems())
		require.True(t, loaded.Peek(key(7)))
		left, err := filepath.Glob(filepath.Join(dir, "*tmp*"))
		require.NoError(t, err)
		require.Empty(t, left)

		drain(m)
		require.NoError(t, m.Save(t.Context(), dir))
		require.NoError(t, newManager(t, name, 1).Load(t.Context(), dir), "an empty state is an error")
	})
}

func TestSaveAndLoadFail(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, name string) {
		fill(m, 100)
		require.ErrorIs(t, m.Load(t.Context(), t.TempDir()), fs.ErrNotExist)
		require.ErrorIs(t, m.Load(t.Context(), filepath.Join(t.TempDir(), "none")), fs.ErrNotExist)

		file := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(file, nil, 0o600))
		require.Error(t, m.Save(t.Context(), file))
		require.Error(t, m.Load(t.Context(), file))

		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))
		before, err := os.ReadDir(dir)
		require.NoError(t, err)
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, m.Save(cancelled, dir), context.Canceled)
		after, err := os.ReadDir(dir)
		require.NoError(t, err)
		require.Equal(t, len(before), len(after), "a temporary file is left or a part is gone")
		loaded := newManager(t, name, 1<<30)
		require.ErrorIs(t, loaded.Load(cancelled, dir), context.Canceled)
		require.NoError(t, loaded.Load(t.Context(), dir), "the earlier state is damaged")
		require.Equal(t, m.TotalItems(), loaded.TotalItems())
	})
}

func TestSaveAndLoadWhileInUse(t *testing.T) {
	each(t, 200_000, func(t *testing.T, m cirque.EvictionManager, name string) {
		dir := t.TempDir()
		require.NoError(t, m.Save(t.Context(), dir))
		var wg sync.WaitGroup
		for g := range 2 {
			wg.Go(func() {
				for i := range 3000 {
					k := (i*7 + g) % 500
					if !m.Peek(key(k)) || !m.Access(key(k), weight(k), time.Time{}) {
						m.Admit(key(k), weight(k), time.Time{}, 0)
					}
					if i%10 == 0 {
						m.Remove(key(k))
					}
				}
			})
		}
		for range 5 {
			require.NoError(t, m.Save(t.Context(), dir))
			require.NoError(t, m.Load(t.Context(), dir))
		}
		wg.Wait()
		m.Evict(0)
		require.LessOrEqual(t, m.TotalWeight(), int64(200_000))
		items := m.TotalItems()
		left := drain(m)
		require.Len(t, left, items)
		slices.SortFunc(left, cirque.CompactCacheKey.Compare)
		require.Len(t, slices.Compact(left), items, "a key is returned twice")
	})
}
