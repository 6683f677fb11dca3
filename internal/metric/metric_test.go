package metric

import (
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/stats"
)

func TestDurationsAreInTheBucketThatTheirBoundsSay(t *testing.T) {
	check := func(d time.Duration) {
		var h Histogram
		h.Observe(d)
		var s stats.Histogram
		h.AddTo(&s)
		require.Len(t, s.Counts, 1)
		upper, lower := stats.UpperBound(s.First), stats.UpperBound(s.First-1)
		if s.First < lastBucket {
			require.LessOrEqual(t, d.Seconds(), upper+1e-9, d)
		}
		if s.First > firstBucket {
			require.Greater(t, d.Seconds(), lower-1e-9, d)
		}
	}
	for _, d := range []time.Duration{0, 1, time.Microsecond, time.Millisecond, time.Second, 4 * time.Second, 1 << 30, 1<<30 + 1, math.MaxInt64, -time.Second} {
		check(d)
	}
	for range 2000 {
		check(time.Duration(rand.Uint64() >> (1 + rand.IntN(62))))
	}
}

func TestQuantilesAreAtMostOneBucketTooLarge(t *testing.T) {
	var h Histogram
	for i := 1; i <= 1000; i++ {
		h.Observe(time.Duration(i) * time.Millisecond)
	}
	var s stats.Histogram
	h.AddTo(&s)
	require.Equal(t, uint64(1000), s.Count)
	require.InDelta(t, 500.5, s.Sum, 0.001)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		require.GreaterOrEqual(t, s.Quantile(q), q-1e-9)
		require.LessOrEqual(t, s.Quantile(q), q*math.Exp2(0.25)+1e-9)
	}
}

func TestShardedCountsAddUp(t *testing.T) {
	s := NewSharded[atomic.Int64]()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				s.Any().Add(1)
			}
		})
	}
	wg.Wait()
	var sum int64
	for one := range s.All() {
		sum += one.Load()
	}
	require.Equal(t, int64(8000), sum)
}

func BenchmarkObserve(b *testing.B) {
	s := NewSharded[Histogram]()
	b.ReportAllocs()
	for b.Loop() {
		s.Any().Observe(1500 * time.Nanosecond)
	}
}
