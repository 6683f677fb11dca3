package eviction_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/stats"
)

func statsOf(m cirque.EvictionManager) stats.Eviction {
	return m.(stats.EvictionReporter).EvictionStats()
}

func TestEvictionStatsCountWhatLeaves(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, name string) {
		m.Admit(key(1), 30, time.Time{}, 0)
		m.Admit(key(2), 40, time.Time{}, 0)
		m.Admit(key(3), 20, time.Time{}, 0)
		require.Equal(t, stats.Eviction{Policy: name, Entries: 3, Bytes: 90, Limit: 100}, statsOf(m))

		m.Remove(key(3))
		require.True(t, m.Access(key(2), 40, time.Time{}))
		require.Len(t, m.Evict(1000), 2)
		s := statsOf(m)
		require.Zero(t, s.Entries)
		require.Zero(t, s.Bytes)
		require.EqualValues(t, 2, s.Evicted, "a purged entry is not evicted")
		require.EqualValues(t, 70, s.EvictedBytes)
		require.EqualValues(t, 1, s.Unused)
		require.EqualValues(t, 2, s.Age.Count)
		require.Zero(t, s.Declined)
	})
}

func TestDeclinedEntriesAreNotEvicted(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		require.Len(t, m.Admit(key(1), 101, time.Time{}, 0), 1)
		s := statsOf(m)
		require.EqualValues(t, 1, s.Declined)
		require.EqualValues(t, 101, s.DeclinedBytes)
		require.Zero(t, s.Evicted)
		require.Zero(t, s.Unused)
		require.Zero(t, s.Age.Count)
		require.EqualValues(t, 1, m.EvictedItems())
		require.EqualValues(t, 101, m.EvictedWeight())

		// A newer response that is too heavy is declined; the one that it replaces was not evicted.
		m.Admit(key(1), 10, time.Time{}, 0)
		require.Len(t, m.Admit(key(1), 101, time.Time{}, 0), 1)
		require.Zero(t, m.TotalItems())
		require.EqualValues(t, 2, statsOf(m).Declined)
		require.Zero(t, statsOf(m).Evicted)

		// An entry that grows too heavy was tracked, so it is evicted.
		m.Admit(key(1), 10, time.Time{}, 0)
		require.Len(t, m.IncrementWeight(key(1), 200, 0), 1)
		s = statsOf(m)
		require.EqualValues(t, 1, s.Evicted)
		require.EqualValues(t, 210, s.EvictedBytes)
		require.EqualValues(t, 1, s.Unused)
		require.EqualValues(t, 1, s.Age.Count)
	})
}

// The default policy also declines a newcomer that is worth less than what is there.
func TestNewcomerThatIsWorthLessIsDeclined(t *testing.T) {
	m, err := eviction.New("gdsf", 100)
	require.NoError(t, err)
	m.Admit(key(1), 90, time.Time{}, 0)
	for range 10 {
		m.Access(key(1), 90, time.Time{})
	}
	require.Equal(t, []cirque.CompactCacheKey{key(2)}, m.Admit(key(2), 90, time.Time{}, 0))
	s := statsOf(m)
	require.EqualValues(t, 1, s.Declined)
	require.EqualValues(t, 90, s.DeclinedBytes)
	require.Zero(t, s.Evicted)
}

func TestAgeAtEvictionIsTheTimeSinceTheLastAdmit(t *testing.T) {
	each(t, 100, func(t *testing.T, _ cirque.EvictionManager, name string) {
		synctest.Test(t, func(t *testing.T) {
			m, err := eviction.New(name, 100)
			require.NoError(t, err)
			evictedAt := func(age time.Duration, unused uint64) {
				t.Helper()
				before := statsOf(m)
				require.Len(t, m.Evict(1), 1)
				after := statsOf(m)
				require.EqualValues(t, 1, after.Age.Count-before.Age.Count)
				require.InDelta(t, age.Seconds(), after.Age.Sum-before.Age.Sum, 0.25)
				require.Equal(t, unused, after.Unused-before.Unused)
			}
			time.Sleep(time.Hour)
			m.Admit(key(1), 10, time.Time{}, 0)
			time.Sleep(90 * time.Second)
			evictedAt(90*time.Second, 1)

			m.Admit(key(1), 10, time.Time{}, 0)
			time.Sleep(time.Minute)
			m.Access(key(1), 10, time.Time{})
			time.Sleep(time.Minute)
			evictedAt(2*time.Minute, 0)

			m.Admit(key(1), 10, time.Time{}, 0)
			time.Sleep(time.Minute)
			m.Access(key(1), 10, time.Time{})
			m.Admit(key(1), 20, time.Time{}, 0) // a newer response
			m.IncrementWeight(key(1), 1, 0)
			time.Sleep(time.Second)
			evictedAt(time.Second, 1)

			// The time of one that has left is not that of the next in its place.
			m.Admit(key(2), 10, time.Time{}, 0)
			m.Access(key(2), 10, time.Time{})
			m.Remove(key(2))
			time.Sleep(24 * time.Hour)
			m.Admit(key(3), 10, time.Time{}, 0)
			evictedAt(0, 1)

			time.Sleep(20 * 365 * 24 * time.Hour)
			m.Admit(key(4), 10, time.Time{}, 0)
			time.Sleep(time.Hour)
			require.Len(t, m.Evict(1), 1)
			require.Less(t, statsOf(m).Age.Sum, (20 * 365 * 24 * time.Hour).Seconds(), "the clock of ages stands still at its end")
		})
	})
}

func TestEntriesOfUnknownAgeHaveNoAgeAndAreNotUnused(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, name string) {
		dir := t.TempDir()
		m.Admit(key(1), 10, time.Time{}, 0)
		require.NoError(t, m.Save(t.Context(), dir))
		loaded, err := eviction.New(name, 100)
		require.NoError(t, err)
		require.NoError(t, loaded.Load(t.Context(), dir))
		loaded.Access(key(2), 10, time.Time{})
		require.Len(t, loaded.Evict(1000), 2)
		s := statsOf(loaded)
		require.EqualValues(t, 2, s.Evicted)
		require.Zero(t, s.Unused)
		require.Zero(t, s.Age.Count)
	})
}

// TestEvictionStatsAddUp counts beside the managers what they admit and return.
func TestEvictionStatsAddUp(t *testing.T) {
	each(t, 10_000, func(t *testing.T, m cirque.EvictionManager, _ string) {
		var returned, weight int64
		var mu sync.Mutex
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 2000 {
					k := key((i*7 + g*13) % 300)
					switch i % 4 {
					case 0:
						m.Access(k, 100, time.Time{})
					default:
						evicted := m.Admit(k, 100, time.Time{}, 0)
						mu.Lock()
						returned += int64(len(evicted))
						weight += 100 * int64(len(evicted))
						mu.Unlock()
					}
					s := statsOf(m)
					if s.Unused > s.Evicted || s.Age.Count > s.Evicted {
						t.Errorf("of %d evicted, %d are unused and %d have an age", s.Evicted, s.Unused, s.Age.Count)
						return
					}
				}
			})
		}
		wg.Wait()
		s := statsOf(m)
		require.EqualValues(t, returned, s.Evicted+s.Declined)
		require.EqualValues(t, weight, s.EvictedBytes+s.DeclinedBytes)
		require.EqualValues(t, m.TotalItems(), s.Entries)
		require.EqualValues(t, m.TotalWeight(), s.Bytes)
		require.NotZero(t, s.Unused)
	})
}
