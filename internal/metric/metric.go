// Package metric counts on the hot path: numbers that many goroutines change and that are seldom
// read. A Sharded value has a copy for a few processors each, so that they do not fight over one
// cache line; a reader adds the copies up.
package metric

import (
	"iter"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// maxShards bounds the copies of a Sharded value.
const maxShards = 32

// Sharded is a value of which there are several copies. T must be safe for concurrent use: atomics,
// as a rule. Make it with NewSharded.
type Sharded[T any] struct {
	shards []shard[T]
	mask   uint32
}

type shard[T any] struct {
	value T
	_     [64]byte // keeps two copies off one cache line
}

// NewSharded returns a value with about as many copies as there are processors.
func NewSharded[T any]() *Sharded[T] {
	n := 1 << bits.Len(uint(min(runtime.GOMAXPROCS(0), maxShards)-1))
	return &Sharded[T]{shards: make([]shard[T], n), mask: uint32(n - 1)}
}

// Any returns one of the copies, for one event. Several changes that belong together may go to one.
func (s *Sharded[T]) Any() *T { return &s.shards[rand.Uint32()&s.mask].value }

// All yields the copies.
func (s *Sharded[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for i := range s.shards {
			if !yield(&s.shards[i].value) {
				return
			}
		}
	}
}

// The buckets of a Histogram: from 2 to the -20, which is 0.95 microseconds, to 2 to the 20, twelve
// days. What is beyond is counted in the last one.
const (
	firstBucket = -20 * stats.BucketsPerDoubling
	lastBucket  = 20 * stats.BucketsPerDoubling
	buckets     = lastBucket - firstBucket + 1
)

// Histogram counts durations. It is safe for concurrent use, and ready when it is zero.
type Histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

// bounds are the upper bounds of the buckets, in nanoseconds. start has, by the length of a number
// in bits, the first bucket that such a number can be in.
var bounds, start = func() (bounds [buckets]int64, start [65]uint8) {
	for i := range bounds {
		bounds[i] = int64(stats.UpperBound(firstBucket+i) * float64(time.Second))
	}
	for length := range start {
		least := int64(1) << max(length-1, 0)
		for int(start[length]) < buckets-1 && bounds[start[length]] < least {
			start[length]++
		}
	}
	return bounds, start
}()

func bucketOf(d time.Duration) int {
	d = max(d, 0)
	i := int(start[bits.Len64(uint64(d))])
	for i < buckets-1 && bounds[i] < int64(d) {
		i++
	}
	return i
}

// Observe counts d.
func (h *Histogram) Observe(d time.Duration) {
	h.counts[bucketOf(d)].Add(1)
	h.sum.Add(int64(d))
}

// AddTo adds what h has counted to sum, in seconds.
func (h *Histogram) AddTo(sum *stats.Histogram) {
	var mine stats.Histogram
	first, last := -1, 0
	for i := range h.counts {
		if n := h.counts[i].Load(); n > 0 {
			if first < 0 {
				first = i
			}
			last = i
			mine.Count += n
		}
	}
	if first < 0 {
		return
	}
	mine.First, mine.Sum = firstBucket+first, time.Duration(h.sum.Load()).Seconds()
	mine.Counts = make([]uint64, last-first+1)
	mine.Count = 0
	for i := range mine.Counts { // read again: the count has to be the sum of what is reported
		mine.Counts[i] = h.counts[first+i].Load()
		mine.Count += mine.Counts[i]
	}
	*sum = sum.Plus(mine)
}
