package cirqueprom

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/cirquecache/cirque/stats"
)

// schema is that of the native histograms. Its buckets are those of stats.Histogram: the bounds are
// powers of 2 to the 1/4, and the bucket with the index i ends at 2 to the i/4.
const schema = 2

// The bounds of the classic histograms, as powers of two.
var (
	// From 61 µs to 16 s: what a client waits for.
	secondsOfRequests = []int{-14, -12, -10, -8, -6, -4, -3, -2, -1, 0, 2, 4}
	// From 3.8 µs to 16 s: the operations of a store in memory, and those of a slow disk.
	secondsOfOperations = []int{-18, -16, -14, -12, -10, -8, -6, -4, -2, 0, 2, 4}
	// From 1 s to 12 days: the age of what is evicted.
	secondsOfAges = []int{0, 2, 4, 6, 8, 10, 11, 12, 14, 16, 18, 20}
	// From 1 to 64, which is the most that a vary record has.
	variants = []int{0, 1, 2, 3, 4, 5, 6}
)

// both is a histogram that is a native and a classic one.
type both struct {
	prometheus.Metric // the native histogram
	classic           []*dto.Bucket
}

// Write implements prometheus.Metric.
func (b both) Write(out *dto.Metric) error {
	if err := b.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = b.classic
	return nil
}

// newHistogram returns h as a metric. bounds are those of the classic histogram, since is when it
// was empty.
func newHistogram(desc *prometheus.Desc, h stats.Histogram, bounds []int, since time.Time, labels []string) (prometheus.Metric, error) {
	native := make(map[int]int64)
	var count uint64 // that of the buckets: Prometheus refuses another one
	for i, n := range h.Counts {
		if n > 0 {
			native[h.First+i] = int64(n)
			count += n
		}
	}
	// The threshold shows that an empty histogram is a native one: Prometheus 2.42 sees no other
	// sign, and takes the kind of the first one of a family for that of all. No value is below it.
	m, err := prometheus.NewConstNativeHistogram(desc, count, h.Sum, native, nil, 0, schema, prometheus.DefNativeHistogramZeroThreshold, since, labels...)
	if err != nil {
		return nil, err
	}
	return both{m, classicBuckets(h, bounds)}, nil
}

// classicBuckets returns how many values of h do not go beyond each bound.
func classicBuckets(h stats.Histogram, bounds []int) []*dto.Bucket {
	buckets := make([]*dto.Bucket, len(bounds))
	var below uint64
	next := 0
	for i, power := range bounds {
		for next < len(h.Counts) && h.First+next <= power*stats.BucketsPerDoubling {
			below += h.Counts[next]
			next++
		}
		bound, count := math.Exp2(float64(power)), below
		buckets[i] = &dto.Bucket{UpperBound: &bound, CumulativeCount: &count}
	}
	return buckets
}
