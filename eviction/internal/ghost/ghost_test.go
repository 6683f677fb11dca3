package ghost

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPutUsesTake(t *testing.T) {
	g := New(2)
	require.Zero(t, g.Uses(1<<40))
	require.Zero(t, g.Take(1<<40))

	g.Put(1<<40, 3, 10)
	g.Put(2<<40, 9, 10)
	require.EqualValues(t, 3, g.Uses(1<<40))
	g.Put(1<<40, 5, 10)
	require.EqualValues(t, 5, g.Uses(1<<40), "the latest counts")
	require.EqualValues(t, 5, g.Take(1<<40))
	require.Zero(t, g.Uses(1<<40), "Take forgets")
	require.EqualValues(t, 9, g.Uses(2<<40))
}

// TestRemembersTwiceTheResidents puts far more keys than there is room for, with growing numbers of
// residents.
func TestRemembersTwiceTheResidents(t *testing.T) {
	g := New(2)
	rnd := rand.New(rand.NewPCG(1, 1))
	var put []uint64
	for _, residents := range []int{100, 1000, 5000, 20_000} {
		for range 6 * residents {
			hash := rnd.Uint64()
			put = append(put, hash)
			g.Put(hash, uint8(hash%63+1), residents)
		}
		remembered := func(from, to int) float64 {
			n := 0
			for _, hash := range put[len(put)-to : len(put)-from] {
				if g.Uses(hash) == uint8(hash%63+1) {
					n++
				}
			}
			return float64(n) / float64(to-from)
		}
		require.Greater(t, remembered(0, residents), 0.99, "with %d residents", residents)
		require.Greater(t, remembered(residents, 2*residents), 0.7, "with %d residents", residents)
		if residents >= 1000 {
			require.Less(t, remembered(4*residents, 6*residents), 0.2, "with %d residents", residents)
		}
	}
}

func TestGrowthKeepsWhatThereWas(t *testing.T) {
	g := New(2)
	rnd := rand.New(rand.NewPCG(1, 1))
	var put []uint64
	for range 500 {
		put = append(put, rnd.Uint64())
		g.Put(put[len(put)-1], 7, 1000)
	}
	for _, residents := range []int{2000, 5000, 100_000} {
		for segment := range uint64(segmentCount) {
			g.Put(segment<<16, 1, residents)
		}
		for _, hash := range put {
			require.EqualValues(t, 7, g.Uses(hash))
		}
	}
}

func BenchmarkPut(b *testing.B) {
	g := New(2)
	rnd := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for b.Loop() {
		g.Put(rnd.Uint64(), 1, 1<<16)
	}
}
