package eviction_test

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// key returns the compact key number n.
func key(n int) cirque.CompactCacheKey {
	return cirque.NewCacheKey("", strconv.Itoa(n), "").Compact()
}

// each runs test with a manager of every policy.
func each(t *testing.T, limit int64, test func(t *testing.T, m cirque.EvictionManager)) {
	for _, name := range eviction.Names() {
		t.Run(name, func(t *testing.T) {
			m, err := eviction.New(name, limit)
			require.NoError(t, err)
			test(t, m)
		})
	}
}

func TestTooHeavyEntryIsHandedBack(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager) {
		require.Empty(t, m.Admit(key(1), 50, time.Time{}, 0))
		require.Equal(t, []cirque.CompactCacheKey{key(2)}, m.Admit(key(2), 101, time.Time{}, 0))
		require.True(t, m.Peek(key(1)), "evicts nothing else")
		require.False(t, m.Peek(key(2)))

		require.Equal(t, []cirque.CompactCacheKey{key(1)}, m.Admit(key(1), 101, time.Time{}, 0), "also if it was tracked")
		require.Zero(t, m.TotalItems())
		require.Zero(t, m.TotalWeight())
		require.EqualValues(t, 2, m.EvictedItems())
		require.EqualValues(t, 202, m.EvictedWeight())
	})
}

func TestUserTagsComeBack(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager) {
		of := func(n int, tag string) cirque.CompactCacheKey {
			k := key(n)
			k.UserTag = tag
			return k
		}
		m.Admit(of(1, "ann"), 40, time.Time{}, 0)
		m.Admit(of(2, "bob"), 40, time.Time{}, 0)
		m.Admit(of(1, "eve"), 40, time.Time{}, 0)
		require.True(t, m.Peek(key(1)), "a tag is no part of a key's identity")
		require.ElementsMatch(t, []cirque.CompactCacheKey{of(1, "eve"), of(2, "bob")}, m.Evict(80))
	})
}

func TestLimitHoldsUnderConcurrency(t *testing.T) {
	const limit = 10_000
	each(t, limit, func(t *testing.T, m cirque.EvictionManager) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 3000 {
					n := (i*7 + g*13) % 400
					switch i % 5 {
					case 0, 1, 2:
						m.Admit(key(n), int64(1+n*3), time.Time{}, 0)
					case 3:
						m.IncrementWeight(key(n), 50, 0)
					case 4:
						if m.Peek(key(n)) {
							m.Remove(key(n))
						}
					}
					if total := m.TotalWeight(); total > limit {
						t.Errorf("%d bytes are tracked; the limit is %d", total, limit)
						return
					}
				}
			})
		}
		wg.Wait()
		var sum int64
		for total := m.TotalWeight(); m.TotalItems() > 0; total = m.TotalWeight() {
			require.Len(t, m.Evict(1), 1)
			sum += total - m.TotalWeight()
		}
		require.LessOrEqual(t, sum, int64(limit))
		require.Zero(t, m.TotalWeight())
	})
}
