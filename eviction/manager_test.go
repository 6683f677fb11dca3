package eviction_test

import (
	"encoding/binary"
	"math"
	"slices"
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

// numbers returns the numbers of keys below 4000, so that messages can be read.
func numbers(keys []cirque.CompactCacheKey) []int {
	ns := make([]int, len(keys))
	for i, k := range keys {
		ns[i] = numberByPrimary()[k.Primary]
	}
	return ns
}

var numberByPrimary = sync.OnceValue(func() map[cirque.HashBinary]int {
	byPrimary := make(map[cirque.HashBinary]int)
	for n := range 4000 {
		byPrimary[key(n).Primary] = n
	}
	return byPrimary
})

// numbered returns a key for n without computing a hash.
func numbered(n int) (k cirque.CompactCacheKey) {
	binary.LittleEndian.PutUint64(k.Primary[:8], uint64(n+1)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(k.Primary[8:], uint64(n))
	return k
}

// each runs test with a manager of every policy.
func each(t *testing.T, limit int64, test func(t *testing.T, m cirque.EvictionManager, name string)) {
	for _, name := range eviction.Names() {
		t.Run(name, func(t *testing.T) {
			m, err := eviction.New(name, limit)
			require.NoError(t, err)
			test(t, m, name)
		})
	}
}

func TestTooHeavyEntryIsHandedBack(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		require.Empty(t, m.Admit(key(1), 50, time.Time{}, 0))
		require.Equal(t, []cirque.CompactCacheKey{key(2)}, m.Admit(key(2), 101, time.Time{}, 0))
		require.True(t, m.Peek(key(1)), "another entry was evicted")
		require.False(t, m.Peek(key(2)))

		require.Equal(t, []cirque.CompactCacheKey{key(1)}, m.Admit(key(1), 101, time.Time{}, 0), "the tracked entry is not returned")
		require.Zero(t, m.TotalItems())
		require.Zero(t, m.TotalWeight())
		require.EqualValues(t, 2, m.EvictedItems())
		require.EqualValues(t, 202, m.EvictedWeight())

		m.Admit(key(3), 50, time.Time{}, 0)
		require.Equal(t, []cirque.CompactCacheKey{key(3)}, m.IncrementWeight(key(3), math.MaxInt64, 0))
		require.Zero(t, m.TotalWeight())
	})
}

func TestWeightsAreClamped(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		m.Admit(key(1), 0, time.Time{}, 0)
		m.Access(key(2), -7, time.Time{})
		require.EqualValues(t, 2, m.TotalWeight())
		m.IncrementWeight(key(1), -50, 0)
		require.EqualValues(t, 2, m.TotalWeight())
		m.IncrementWeight(key(1), 50, 30)
		require.EqualValues(t, 31, m.TotalWeight())
		m.IncrementWeight(key(1), 5, 10)
		require.EqualValues(t, 31, m.TotalWeight(), "maxWeight lowered a weight")
		m.IncrementWeight(key(9), 5, 0)
		require.False(t, m.Peek(key(9)), "an unknown key is tracked")

		for n := range 100 {
			m.Access(key(10+n), math.MaxInt64, time.Time{})
			require.Positive(t, m.TotalWeight())
		}
		m.Evict(0)
		require.LessOrEqual(t, m.TotalWeight(), int64(100))
	})
}

func TestUnknownAccessIsTracked(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		m.Admit(key(1), 80, time.Time{}, 0)
		require.False(t, m.Access(key(2), 70, time.Time{}))
		require.True(t, m.Access(key(2), 70, time.Time{}))
		require.EqualValues(t, 150, m.TotalWeight(), "Access does not track the entry")
		require.Len(t, m.Evict(0), 1)
		require.LessOrEqual(t, m.TotalWeight(), int64(100))

		drain(m)
		m.Access(key(3), 150, time.Time{})
		require.Contains(t, m.IncrementWeight(key(9), 1, 0), key(3), "a call that changes nothing else does not evict")
		require.Zero(t, m.TotalItems())
	})
}

func TestUserTagsComeBack(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		of := func(n int, tag string) cirque.CompactCacheKey {
			k := key(n)
			k.UserTag = tag
			return k
		}
		m.Admit(of(1, "ann"), 40, time.Time{}, 0)
		m.Admit(of(2, "bob"), 40, time.Time{}, 0)
		m.Admit(of(1, "eve"), 40, time.Time{}, 0)
		require.True(t, m.Peek(key(1)), "a tag is part of the key's identity")
		require.ElementsMatch(t, []cirque.CompactCacheKey{of(1, "eve"), of(2, "bob")}, m.Evict(80))
	})
}

func TestVariantsAreApart(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		primary := cirque.NewCacheKey("", "/", "")
		variant := primary.WithVariance(cirque.HashBinary{1}).Compact()
		m.Admit(primary.Compact(), 1, time.Time{}, 0)
		require.False(t, m.Peek(variant))
		m.Admit(variant, 2, time.Time{}, 0)
		m.Remove(primary.Compact())
		require.True(t, m.Peek(variant))
		require.Equal(t, []cirque.CompactCacheKey{variant}, m.Evict(1))
	})
}

func TestItemLimit(t *testing.T) {
	config := eviction.Config{Limit: 1000, MaxItems: 3}
	lru, err := eviction.NewLRU(eviction.LRUConfig{Config: config})
	require.NoError(t, err)
	gdsf, err := eviction.NewGDSF(eviction.GDSFConfig{Config: config})
	require.NoError(t, err)
	s3fifo, err := eviction.NewS3FIFO(config)
	require.NoError(t, err)
	for _, m := range []cirque.EvictionManager{lru, gdsf, s3fifo} {
		for i := range 10 {
			m.Admit(key(i), 1, time.Time{}, 0)
			require.Equal(t, min(i+1, 3), m.TotalItems())
		}
		require.EqualValues(t, 7, m.EvictedItems())
		m.Access(key(20), 1, time.Time{})
		require.Len(t, m.Evict(0), 1)
	}
}

// TestConcurrentUse checks under load that the limit always holds, and afterwards that every
// tracked entry is returned once.
func TestConcurrentUse(t *testing.T) {
	const limit = 100_000
	each(t, limit, func(t *testing.T, m cirque.EvictionManager, _ string) {
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 2500 {
					n := (i*7 + g*13) % 400
					k := key(n)
					switch i % 8 {
					case 0, 1, 2:
						m.Admit(k, int64(1+n*3), time.Now().Add(time.Duration(n-50)*time.Millisecond), 0)
					case 3:
						m.IncrementWeight(k, 50, 0)
					case 4:
						m.Evict(300)
					case 5:
						m.Remove(k)
					default:
						if m.Peek(k) && !m.Access(k, 1, time.Time{}) {
							m.Remove(k) // it left after Peek, and Access has tracked it again
						}
					}
					// An Access of an unknown key may exceed the limit, here by one byte for each
					// goroutine.
					if total := m.TotalWeight(); total > limit+4 {
						t.Errorf("%d bytes are tracked; the limit is %d", total, limit)
						return
					}
				}
			})
		}
		wg.Wait()
		weight, items, evicted := m.TotalWeight(), m.TotalItems(), m.EvictedWeight()
		left := drain(m)
		require.Len(t, left, items)
		slices.SortFunc(left, cirque.CompactCacheKey.Compare)
		require.Len(t, slices.Compact(left), items, "a key is returned twice")
		require.Equal(t, weight, m.EvictedWeight()-evicted)
		require.Zero(t, m.TotalWeight())
	})
}

// TestAdmitsAtOnce makes admissions compete for the last bytes.
func TestAdmitsAtOnce(t *testing.T) {
	each(t, 100, func(t *testing.T, m cirque.EvictionManager, _ string) {
		for round := range 200 {
			var wg sync.WaitGroup
			for g := range 3 {
				wg.Go(func() {
					evicted := m.Admit(key(round%7*3+g), 60, time.Time{}, 0)
					if m.TotalWeight() > 100 {
						t.Error("over the limit")
					}
					_ = evicted
				})
			}
			wg.Wait()
			require.LessOrEqual(t, m.TotalItems(), 1)
		}
	})
}

func TestHitsAllocateNothing(t *testing.T) {
	each(t, 1<<30, func(t *testing.T, m cirque.EvictionManager, _ string) {
		k := key(1)
		fresh := time.Now().Add(time.Hour)
		m.Admit(k, 100, fresh, 0)
		require.Zero(t, testing.AllocsPerRun(100, func() { m.Access(k, 100, fresh) }))
		require.Zero(t, testing.AllocsPerRun(100, func() { m.Peek(k) }))
	})
}

// TestScansLeaveThePopular checks the purpose of the policies beyond LRU and FIFO: keys that are
// requested once do not drive out keys that are requested often.
func TestScansLeaveThePopular(t *testing.T) {
	each(t, 100*1000, func(t *testing.T, m cirque.EvictionManager, name string) {
		request := func(n int) {
			if !m.Peek(key(n)) || !m.Access(key(n), 1000, time.Time{}) {
				m.Admit(key(n), 1000, time.Time{}, 0)
			}
		}
		for range 5 {
			for n := range 50 {
				request(n)
			}
		}
		for n := range 150 {
			request(1000 + n)
		}
		survivors := 0
		for n := range 50 {
			if m.Peek(key(n)) {
				survivors++
			}
		}
		switch name {
		case "gdsf", "s3-fifo", "sieve":
			require.Equal(t, 50, survivors)
		case "simple-lru", "fifo":
			require.Zero(t, survivors)
		}
	})
}

func BenchmarkAdmit(b *testing.B) {
	for _, name := range eviction.Names() {
		b.Run(name, func(b *testing.B) {
			m, err := eviction.New(name, 100_000*1000)
			require.NoError(b, err)
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				m.Admit(numbered(n), 1000, time.Time{}, 0)
				n++
			}
		})
	}
}

func BenchmarkAccess(b *testing.B) {
	for _, name := range eviction.Names() {
		b.Run(name, func(b *testing.B) {
			m, err := eviction.New(name, 1<<40)
			require.NoError(b, err)
			const n = 1 << 16
			keys := make([]cirque.CompactCacheKey, n)
			for i := range keys {
				keys[i] = numbered(i)
				m.Admit(keys[i], 1000, time.Time{}, 0)
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					m.Access(keys[i*7%n], 1000, time.Time{})
				}
			})
		})
	}
}

func TestSetLimitEvictsDownToTheNewLimit(t *testing.T) {
	for _, name := range eviction.Names() {
		t.Run(name, func(t *testing.T) {
			m, err := eviction.New(name, 1000)
			require.NoError(t, err)
			for n := range 100 {
				m.Admit(key(n), 10, time.Time{}, 0)
			}
			before := m.TotalItems()
			evicted := m.(interface {
				SetLimit(int64) []cirque.CompactCacheKey
			}).SetLimit(300)
			require.LessOrEqual(t, m.TotalWeight(), int64(300))
			require.Greater(t, m.TotalWeight(), int64(200))
			require.Len(t, evicted, before-m.TotalItems())
			for _, k := range evicted {
				require.False(t, m.Peek(k))
			}
			require.Empty(t, m.(interface {
				SetLimit(int64) []cirque.CompactCacheKey
			}).SetLimit(2000))
			for n := range 300 {
				m.Admit(key(n), 10, time.Time{}, 0)
			}
			require.Greater(t, m.TotalWeight(), int64(1000))
			require.LessOrEqual(t, m.TotalWeight(), int64(2000))
		})
	}
}
