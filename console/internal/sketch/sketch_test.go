package sketch

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFewKeysAreCountedExactly(t *testing.T) {
	top := New(3)
	for range 5 {
		top.Add("a", 2)
	}
	top.Add("b", 4)
	top.Add("c", 0)
	require.Equal(t, []Item{{"a", 10, 0}, {"b", 4, 0}}, Merge(9, top))
	require.Equal(t, []Item{{"a", 10, 0}}, Merge(1, top))
	require.EqualValues(t, 14, top.Total())
}

func TestSumsOfSeveralAreAdded(t *testing.T) {
	one, two := New(4), New(4)
	one.Add("a", 1)
	one.Add("b", 5)
	two.Add("a", 9)
	require.Equal(t, []Item{{"a", 10, 0}, {"b", 5, 0}}, Merge(9, one, two))
}

// A million keys, of which a few are frequent: each of these is found, and no count is off by more
// than the bound.
func TestFrequentKeysAreFoundAmongAMillion(t *testing.T) {
	const counters, keys, frequent = 256, 1_000_000, 20
	top := New(counters)
	random := rand.New(rand.NewPCG(1, 2))
	truth := make(map[string]uint64)
	for i := range keys {
		top.Add(fmt.Sprint("rare ", i), 1)
		if i%20 == 0 {
			key := fmt.Sprint("frequent ", random.IntN(frequent))
			n := uint64(1 + random.IntN(20))
			truth[key] += n
			top.Add(key, n)
		}
	}
	require.Equal(t, counters, top.Len())
	bound := top.Total() / counters
	found := make(map[string]bool)
	for _, item := range Merge(counters, top) {
		require.LessOrEqual(t, item.Error, bound)
		require.GreaterOrEqual(t, item.Count, truth[item.Key], "a count is never too small")
		require.LessOrEqual(t, item.Count-item.Error, max(truth[item.Key], 1), "nor by more than its error too large")
		found[item.Key] = true
	}
	for key, n := range truth {
		require.Greater(t, n, bound, "the test is about keys above the bound")
		require.True(t, found[key], key)
	}
}
