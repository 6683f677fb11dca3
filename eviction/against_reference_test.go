package eviction

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/stretchr/testify/require"
)

// testKeys are so few that no ghost ever has to forget one.
var testKeys = func() (keys [64]cirque.CompactCacheKey) {
	for i := range keys {
		keys[i] = cirque.NewCacheKey("", strconv.Itoa(i), "").Compact()
		if i%3 == 0 {
			keys[i].Variance = cirque.HashBinary{byte(i + 1)}
		}
	}
	return keys
}()

func numbersOf(keys []cirque.CompactCacheKey) (numbers []int) {
	for _, key := range keys {
		numbers = append(numbers, slices.Index(testKeys[:], key))
	}
	return numbers
}

// TestAgainstReference makes random calls to a manager and its reference. Their answers must be the
// same, including the order of victims.
func TestAgainstReference(t *testing.T) {
	for name, newReference := range references {
		for _, maxItems := range []int{0, 6} {
			t.Run(name+"/"+strconv.Itoa(maxItems), func(t *testing.T) {
				at := slices.IndexFunc(policies, func(p policy) bool { return p.name == name })
				for seed := range uint64(8) {
					manager, err := policies[at].new(Config{Limit: testLimit, MaxItems: maxItems})
					require.NoError(t, err)
					m := &model{reference: newReference(maxItems), limit: testLimit, maxItems: maxItems, weights: map[int]int64{}}
					compare(t, manager, m, rand.New(rand.NewPCG(seed, 0)))
				}
			})
		}
	}
}

func compare(t *testing.T, manager cirque.EvictionManager, m *model, rnd *rand.Rand) {
	for step := range 1500 {
		same := func(want, got []int) {
			if !slices.Equal(want, got) {
				t.Fatalf("step %d: evicted %v; the reference evicts %v", step, got, want)
			}
		}
		k := min(rnd.IntN(len(testKeys)), rnd.IntN(len(testKeys))) // some are more popular
		key := testKeys[k]
		// No two keys ever have the same weight, so no two priorities are equal by chance.
		weight := int64(1+rnd.IntN(60))*int64(len(testKeys)) + int64(k)
		if rnd.IntN(100) == 0 {
			weight += testLimit
		}
		_, tracked := m.weights[k]
		require.Equal(t, tracked, manager.Peek(key))
		switch op := rnd.IntN(20); {
		case op < 8:
			same(m.admitKey(k, weight), numbersOf(manager.Admit(key, weight, time.Time{}, 0)))
		case op < 14:
			if tracked || op == 8 {
				require.Equal(t, m.accessKey(k, weight), manager.Access(key, weight, time.Time{}), "step %d", step)
				continue // the limit may be exceeded now
			}
		case op < 16:
			var want []int
			delta, most := int64(rnd.IntN(40)-5)*int64(len(testKeys)), int64(rnd.IntN(2)*(rnd.IntN(80)*len(testKeys)+k))
			if tracked {
				old := m.weights[k]
				delta = max(delta, int64(len(testKeys)+k)-old)
				weight := old + delta
				if delta > 0 && most > 0 {
					weight = max(old, min(weight, most))
				}
				want = m.resize(k, weight)
			} else {
				want = m.enforce(nil)
			}
			same(want, numbersOf(manager.IncrementWeight(key, delta, most)))
		case op < 17:
			if tracked {
				m.drop(k)
			}
			manager.Remove(key)
			if m.total > m.limit {
				continue
			}
		case op < 19:
			weight := int64(rnd.IntN(4000) - 100)
			same(m.evictWeight(weight), numbersOf(manager.Evict(weight)))
		default:
			if rnd.IntN(50) == 0 {
				same(m.evictWeight(math.MaxInt64), numbersOf(manager.Evict(math.MaxInt64)))
			}
		}
		if m.total != manager.TotalWeight() || len(m.weights) != manager.TotalItems() || m.evictedItems != manager.EvictedItems() {
			t.Fatalf("step %d: weight %d, items %d, evicted %d; the reference has %d, %d, %d", step, manager.TotalWeight(),
				manager.TotalItems(), manager.EvictedItems(), m.total, len(m.weights), m.evictedItems)
		}
	}
}
