package eviction

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHeap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 200 {
		var h heap
		ranks := map[uint32]uint64{}
		for id := range uint32(rnd.IntN(60)) {
			ranks[id] = rnd.Uint64() >> rnd.IntN(60)
			h.push(newHeapEntry(id, ranks[id]))
		}
		for range rnd.IntN(20) {
			if len(h) > 0 {
				id := h[0].id
				ranks[id] += uint64(rnd.IntN(1000))
				h.replaceTop(newHeapEntry(id, ranks[id]))
			}
		}
		odd := func(id uint32) bool { return id%2 == 1 }
		if rnd.IntN(2) == 0 {
			h.filter(odd)
			for id := range ranks {
				if !odd(id) {
					delete(ranks, id)
				}
			}
		}
		require.Len(t, h, len(ranks))
		var order []uint64
		for len(h) > 0 {
			require.Equal(t, ranks[h[0].id], h[0].rank())
			order = append(order, h[0].rank())
			h.pop()
		}
		require.True(t, slices.IsSorted(order), order)
	}
}
