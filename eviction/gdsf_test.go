package eviction_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

func newGDSF(t *testing.T, c eviction.GDSFConfig) *eviction.GDSF {
	t.Helper()
	g, err := eviction.NewGDSF(c)
	require.NoError(t, err)
	return g
}

func TestGDSFConfig(t *testing.T) {
	for _, c := range []eviction.GDSFConfig{
		{Config: eviction.Config{Limit: 0}},
		{Config: eviction.Config{Limit: 1, MaxItems: -1}},
		{Config: eviction.Config{Limit: 1}, Alpha: 1.5},
		{Config: eviction.Config{Limit: 1}, Alpha: math.NaN()},
		{Config: eviction.Config{Limit: 1}, CostWeight: -1},
		{Config: eviction.Config{Limit: 1}, CostWeight: math.NaN()},
	} {
		_, err := eviction.NewGDSF(c)
		require.Error(t, err, "%+v", c)
	}
}

// next admits entries of the given weights, the first as key 0, and returns the number of the key
// that leaves first.
func next(m cirque.EvictionManager, weights ...int64) int {
	for i, w := range weights {
		m.Admit(key(i), w, time.Time{}, 0)
	}
	return numbers(m.Evict(1))[0]
}

func TestGDSFPrefersSmallEntriesByAlpha(t *testing.T) {
	limit := eviction.Config{Limit: 1 << 20}
	require.Equal(t, 1, next(newGDSF(t, eviction.GDSFConfig{Config: limit}), 100, 3000, 500))

	// Two uses of a large entry compete with one use of an entry a tenth its size: 2/10^alpha
	// decides.
	for alpha, leaves := range map[float64]int{0.1: 1, 1: 0, -1: 1} {
		g := newGDSF(t, eviction.GDSFConfig{Config: limit, Alpha: alpha})
		g.Admit(key(0), 10_000, time.Time{}, 0)
		g.Access(key(0), 10_000, time.Time{})
		require.Equal(t, leaves, next(g, 10_000, 1000), "alpha %v", alpha)
	}
}

func TestGDSFWeighsCost(t *testing.T) {
	admit := func(g *eviction.GDSF) {
		g.Admit(key(0), 1000, time.Time{}, 2*time.Second)
		g.Admit(key(1), 999, time.Time{}, 10*time.Millisecond)
	}
	ignores := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 1 << 20}})
	admit(ignores)
	require.Equal(t, 0, numbers(ignores.Evict(1))[0])
	weighs := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 1 << 20}, CostWeight: 0.5})
	admit(weighs)
	require.Equal(t, 1, numbers(weighs.Evict(1))[0], "the entry that was quick to fetch leaves")
}

func TestGDSFRemembersTheEvicted(t *testing.T) {
	g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 10_000}})
	for range 5 {
		g.Admit(key(0), 1000, time.Time{}, 0)
	}
	require.Equal(t, []int{0}, numbers(g.Evict(1)))
	for i := 1; i <= 10; i++ {
		g.Admit(key(i), 1000, time.Time{}, 0)
	}
	// Key 0 comes back with its uses, so the ten keys with one use each leave before it.
	g.Admit(key(0), 1000, time.Time{}, 0)
	require.True(t, g.Peek(key(0)))
	require.NotContains(t, g.Evict(9000), key(0))
	require.True(t, g.Peek(key(0)))
}

func TestGDSFStopsCountingUses(t *testing.T) {
	g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 10_000}})
	for i, hits := range []int{500, 70} {
		g.Admit(key(i), int64(1001-i), time.Time{}, 0)
		for range hits {
			g.Access(key(i), 1000, time.Time{})
		}
	}
	require.Equal(t, []int{0}, numbers(g.Evict(1)), "both have the maximum of uses, and key 0 is larger")
}

func TestGDSFDeclinesOnlyWhenFull(t *testing.T) {
	g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 10_000}})
	for i := range 5 {
		for range 3 {
			require.Empty(t, g.Admit(key(i), 1000, time.Time{}, 0))
		}
	}
	require.Empty(t, g.Admit(key(10), 5000, time.Time{}, 0), "there is room")
	g.Remove(key(10))
	require.Equal(t, []int{11}, numbers(g.Admit(key(11), 5001, time.Time{}, 0)))
	require.Equal(t, 5, g.TotalItems())

	// A key that keeps coming back gets in.
	for range 20 {
		g.Admit(key(11), 5001, time.Time{}, 0)
	}
	require.True(t, g.Peek(key(11)))
}

func TestGDSFEvictsStaleEntriesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 1 << 20}})
		for i := range 20 {
			ttl := time.Hour
			if i == 7 || i == 13 {
				ttl = time.Minute
			}
			g.Admit(key(i), 1000, time.Now().Add(ttl), 0)
			for range 4 * i {
				g.Access(key(i), 1000, time.Now().Add(ttl))
			}
		}
		require.Equal(t, []int{0}, numbers(g.Evict(1)), "all are fresh")
		time.Sleep(2 * time.Minute)
		require.Equal(t, []int{7}, numbers(g.Evict(1)))
		require.Equal(t, []int{13}, numbers(g.Evict(1)))
		require.Equal(t, []int{1}, numbers(g.Evict(1)), "none is stale")

		g.Access(key(2), 1000, time.Now().Add(-time.Second))
		g.Access(key(3), 1000, time.Now().Add(-time.Second))
		g.Access(key(3), 1000, time.Now().Add(time.Hour))
		g.Access(key(3), 1000, time.Time{})
		require.Equal(t, []int{2}, numbers(g.Evict(1)), "key 3 was revalidated")
		require.Equal(t, []int{4}, numbers(g.Evict(1)), "the revalidation of key 3 was its 15th use")
	})
}

// TestGDSFKeepsThePopularAmongTheStale has only entries that need revalidation at every use. They
// are worth less than fresh ones, but the popular ones are still worth more than the others.
func TestGDSFKeepsThePopularAmongTheStale(t *testing.T) {
	g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 100 * 1000}})
	stale := time.Now().Add(-time.Second)
	for range 40 {
		for i := range 50 {
			g.Admit(key(i), 1000, stale, 0)
		}
	}
	for i := range 500 {
		g.Admit(key(1000+i), 1000, stale, 0)
	}
	for i := range 50 {
		require.True(t, g.Peek(key(i)))
	}
	g.Admit(key(2000), 1000, time.Now().Add(time.Hour), 0)
	require.NotContains(t, numbers(g.Evict(49*1000)), 2000, "one use of a fresh entry is worth sixteen of a stale one")
}

func TestGDSFEntryAdmittedStale(t *testing.T) {
	g := newGDSF(t, eviction.GDSFConfig{Config: eviction.Config{Limit: 1 << 20}})
	for i := range 1000 {
		g.Admit(key(i), 1000, time.Now().Add(time.Hour), 0)
	}
	g.Admit(key(1000), 900, time.Now().Add(-time.Hour), 0)
	require.Equal(t, []int{1000}, numbers(g.Evict(1)), "the stale entry leaves although it is smaller")
}
