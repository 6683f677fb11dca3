package eviction

import (
	"math"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
	"github.com/stretchr/testify/require"
)

// TestPurgesDoNotGrowTheHeap removes most entries again and again. The heap notices that late, but
// neither the heap nor the slab may grow without end.
func TestPurgesDoNotGrowTheHeap(t *testing.T) {
	g, err := NewGDSF(GDSFConfig{Config: Config{Limit: 1 << 30}})
	require.NoError(t, err)
	p := g.shards[0].order.(*priority)
	keyOf := func(n int) cirque.CompactCacheKey {
		return table.Key{uint64(n), 1, 0, 0}.Compact("")
	}
	for round := range 20 {
		for i := range 2000 {
			g.Admit(keyOf(i), int64(1000+i), time.Time{}, 0)
		}
		for i := range 2000 {
			if i%10 != round%10 {
				g.Remove(keyOf(i))
			}
		}
		require.Equal(t, 200, g.TotalItems())
		require.Less(t, len(p.heap), 300)
		require.Equal(t, len(p.heap), p.dead+200)
		require.Less(t, p.table.Cap(), uint32(3000))
	}
	require.Len(t, g.Evict(math.MaxInt64), 200)
}
