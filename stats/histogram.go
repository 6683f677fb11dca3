package stats

import (
	"math"
	"time"
)

// Histogram is how a quantity is distributed: the counts of the buckets that the bounds of Buckets
// divide. Unit and meaning are those of the field it stands in. The zero value is an empty one.
//
// The bounds are powers of 2 to the 1/4, so that a value read from a histogram is at most 19 % too
// large, and so that the buckets are those of a native histogram of Prometheus with schema 2.
type Histogram struct {
	Count uint64  `json:"count"`
	Sum   float64 `json:"sum"`
	// First is the index of the first of Counts: see [UpperBound]. Buckets outside Counts are
	// empty.
	First  int      `json:"first,omitempty"`
	Counts []uint64 `json:"counts,omitempty"`
}

// BucketsPerDoubling is how many buckets cover the values from one power of two to the next.
const BucketsPerDoubling = 4

// UpperBound returns the largest value of the bucket with this index: 2 to the index/4.
func UpperBound(index int) float64 { return math.Exp2(float64(index) / BucketsPerDoubling) }

// Quantile returns the upper bound of the bucket that the share q of all values, 0 to 1, does not
// go beyond; zero for an empty histogram.
func (h Histogram) Quantile(q float64) float64 {
	if h.Count == 0 {
		return 0
	}
	rank := uint64(math.Ceil(q * float64(h.Count)))
	rank = min(max(rank, 1), h.Count)
	var seen uint64
	for i, n := range h.Counts {
		if seen += n; seen >= rank {
			return UpperBound(h.First + i)
		}
	}
	return UpperBound(h.First + len(h.Counts) - 1)
}

// Seconds returns Quantile as a duration, of a histogram in seconds.
func (h Histogram) Seconds(q float64) time.Duration {
	return time.Duration(h.Quantile(q) * float64(time.Second))
}

// Mean returns the mean; zero for an empty histogram.
func (h Histogram) Mean() float64 {
	if h.Count == 0 {
		return 0
	}
	return h.Sum / float64(h.Count)
}

// Minus returns what came into h since it was earlier, a former snapshot of the same histogram.
func (h Histogram) Minus(earlier Histogram) Histogram {
	d := Histogram{Count: h.Count - earlier.Count, Sum: h.Sum - earlier.Sum, First: h.First, Counts: make([]uint64, len(h.Counts))}
	copy(d.Counts, h.Counts)
	for i, n := range earlier.Counts {
		if at := earlier.First + i - h.First; 0 <= at && at < len(d.Counts) {
			d.Counts[at] -= n
		}
	}
	return d
}

// Plus returns h and other together.
func (h Histogram) Plus(other Histogram) Histogram {
	switch {
	case len(other.Counts) == 0:
		return h
	case len(h.Counts) == 0:
		return other
	}
	first := min(h.First, other.First)
	end := max(h.First+len(h.Counts), other.First+len(other.Counts))
	sum := Histogram{Count: h.Count + other.Count, Sum: h.Sum + other.Sum, First: first, Counts: make([]uint64, end-first)}
	for i, n := range h.Counts {
		sum.Counts[h.First-first+i] += n
	}
	for i, n := range other.Counts {
		sum.Counts[other.First-first+i] += n
	}
	return sum
}
