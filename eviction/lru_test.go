package eviction

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
	"github.com/stretchr/testify/require"
)

// TestShardsAgainstReference makes random calls to an LRU. The shard of a victim is chosen at
// random, but the victim must be the oldest entry of that shard, and no more may leave than needed.
func TestShardsAgainstReference(t *testing.T) {
	const shards = 4
	l, err := NewLRU(LRUConfig{Config: Config{Limit: testLimit}, Shards: shards})
	require.NoError(t, err)
	require.Equal(t, shards, l.Shards())
	shardOf := func(k int) int {
		key := table.MakeKey(&testKeys[k])
		return int(key.Hash()) & (shards - 1)
	}
	var lines [shards]line
	for i := range lines {
		lines[i].promote = true
	}
	weights := map[int]int64{}
	var total int64
	rnd := rand.New(rand.NewPCG(1, 1))
	for step := range 6000 {
		k := min(rnd.IntN(len(testKeys)), rnd.IntN(len(testKeys)))
		weight := int64(1 + rnd.IntN(3000))
		order := &lines[shardOf(k)]
		_, tracked := weights[k]
		switch op := rnd.IntN(10); {
		case op < 5:
			if tracked {
				order.hit(k)
			}
			need := total - weights[k] + weight - testLimit
			for _, victim := range numbersOf(l.Admit(testKeys[k], weight, time.Time{}, 0)) {
				require.Positive(t, need, "step %d: evicted more than needed", step)
				require.Equal(t, lines[shardOf(victim)].victim(), victim, "step %d: not the oldest of its shard", step)
				lines[shardOf(victim)].evict(victim)
				need -= weights[victim]
				total -= weights[victim]
				delete(weights, victim)
				if victim == k {
					weight = 0
				}
			}
			if weight > 0 {
				if _, tracked := weights[k]; !tracked {
					order.admit(k, weight)
				}
				total += weight - weights[k]
				weights[k] = weight
			}
		case op < 9:
			if tracked {
				require.True(t, l.Access(testKeys[k], weight, time.Time{}))
				order.hit(k)
			}
		default:
			l.Remove(testKeys[k])
			if tracked {
				order.remove(k)
				total -= weights[k]
				delete(weights, k)
			}
		}
		require.Equal(t, total, l.TotalWeight(), "step %d", step)
		require.LessOrEqual(t, total, int64(testLimit))
		for i, order := range lines {
			key, weight, ok := l.PeekLRU(i)
			require.Equal(t, len(order.keys) > 0, ok)
			if ok {
				require.Equal(t, testKeys[order.victim()], key)
				require.Equal(t, weights[order.victim()], weight)
			}
		}
	}
	require.Positive(t, l.EvictedItems())
}

// TestOlderShardGivesFirst has four shards, one of them with old entries. Two draws find that shard
// in seven of sixteen cases, and then it must give the victim; one draw would find it in four of
// sixteen.
func TestOlderShardGivesFirst(t *testing.T) {
	l, err := NewLRU(LRUConfig{Config: Config{Limit: 1 << 30}, Shards: 4})
	require.NoError(t, err)
	admit := func(old bool, want int) {
		for n, admitted := 0, 0; admitted < want; n++ {
			key := cirque.NewCacheKey("", strconv.Itoa(n), "").Compact()
			k := table.MakeKey(&key)
			if (k.Hash()&3 == 0) == old {
				l.Admit(key, 1, time.Time{}, 0)
				admitted++
			}
		}
	}
	admit(true, 400)
	admit(false, 1200)
	l.Evict(240)
	require.InDelta(t, 240*7/16, 400-l.shards[0].table.Len(), 35)
}
