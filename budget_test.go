package cirque

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBudgetIsHard(t *testing.T) {
	b := NewBudget(10)
	require.Equal(t, int64(10), b.Limit())
	require.True(t, b.Reserve(4))
	require.True(t, b.Reserve(6))
	require.Equal(t, int64(10), b.Used())
	require.False(t, b.Reserve(1), "nothing evicts")
	require.Equal(t, int64(10), b.Used(), "what can't be met takes nothing")
	b.Release(4)
	require.True(t, b.Reserve(3))
	require.False(t, b.Reserve(2))
	require.Equal(t, int64(9), b.Used())
}

func TestBudgetIgnoresNothing(t *testing.T) {
	b := NewBudget(1)
	for _, n := range []int64{0, -1, math.MinInt64} {
		require.True(t, b.Reserve(n))
		b.Release(n)
		require.Zero(t, b.Used())
	}
	require.False(t, b.Reserve(2))
	require.False(t, b.Reserve(math.MaxInt64))
	require.True(t, b.Reserve(1))
	require.False(t, b.Reserve(math.MaxInt64), "must not overflow")
}

func TestNilBudgetHasNoLimit(t *testing.T) {
	var b *Budget
	require.True(t, b.Reserve(math.MaxInt64))
	b.Release(1)
	require.Zero(t, b.Used())
	require.Zero(t, b.Limit())
}

// shelf is a manager and a store in one: entries of one byte, dropped oldest first.
type shelf struct {
	EvictionManager
	Storage

	mu       sync.Mutex
	entries  []CompactCacheKey
	asked    []int64
	held     int64
	released func(CompactCacheKey)
	err      error
}

func (s *shelf) TotalWeight() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.entries))
}

func (s *shelf) Held() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

func (s *shelf) Evict(weight int64) []CompactCacheKey {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, weight)
	n := min(int(weight), len(s.entries))
	victims := s.entries[:n]
	s.entries = s.entries[n:]
	return victims
}

func (s *shelf) Purge(_ context.Context, key CompactCacheKey, typ PurgeType) error {
	if typ != PurgeEviction {
		panic("a budget evicts")
	}
	s.released(key)
	return s.err
}

func (s *shelf) add(n int) {
	for i := range n {
		s.entries = append(s.entries, CompactCacheKey{Primary: HashBinary{byte(i), byte(i >> 8), 1}})
	}
}

func TestBudgetEvictsToMakeRoom(t *testing.T) {
	b := NewBudget(10)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	s.add(8)
	b.EvictWith(s, s)
	require.True(t, b.Reserve(8))
	require.True(t, b.Reserve(2), "that still fits")
	require.Empty(t, s.asked)
	require.True(t, b.Reserve(3))
	require.Equal(t, []int64{3}, s.asked, "just what is missing")
	require.Equal(t, int64(10), b.Used())
	require.Len(t, s.entries, 5)

	require.False(t, b.Reserve(11))
	require.Len(t, s.asked, 1, "what can never fit evicts nothing")
	// It used to give up all that there was, for nothing.
	require.False(t, b.Reserve(6))
	require.Len(t, s.asked, 1, "nor does what the five entries make no room for")
	require.Equal(t, int64(10), b.Used())
	require.True(t, b.Reserve(5))
}

// What is being read frees nothing when it is evicted. A reservation that could only succeed
// without it is refused, evicts nothing, and says so.
func TestBudgetKnowsWhatIsHeld(t *testing.T) {
	b := NewBudget(10)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }, held: 6}
	s.add(10)
	b.EvictWith(s, s)
	refusals := 0
	stop := b.OnRefusal(func() { refusals++ })
	others := 0
	b.OnRefusal(func() { others++ })
	require.True(t, b.Reserve(10))
	require.Zero(t, refusals)
	require.False(t, b.Reserve(5))
	require.Empty(t, s.asked)
	require.Equal(t, 1, refusals)
	require.True(t, b.Reserve(4))
	require.Equal(t, []int64{4}, s.asked)
	stop()
	require.False(t, b.Reserve(5))
	require.Equal(t, 1, refusals)
	require.Equal(t, 2, others)
}

// Large reservations evict no more once half of the limit is pinned. Small ones do, and both take
// what is free.
func TestBudgetLeavesHalf(t *testing.T) {
	const limit = 16 << 20
	b := NewBudget(limit)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	b.EvictWith(s, s)
	require.True(t, b.Reserve(limit/2))
	s.add(1 << 20) // of one byte each
	require.True(t, b.Reserve(1<<20))
	require.True(t, b.Reserve(limit/2-1<<20), "there is room")
	require.False(t, b.Reserve(smallReservation+1))
	require.Empty(t, s.asked)
	require.True(t, b.Reserve(smallReservation))
	require.Equal(t, []int64{smallReservation}, s.asked)
}

// Evicted bodies that are still read give nothing back at once: more has to go, until nothing is
// left.
func TestBudgetEvictsUntilThereIsRoom(t *testing.T) {
	b := NewBudget(10)
	open := 3
	s := &shelf{err: errors.New("already gone"), released: func(CompactCacheKey) {
		if open--; open < 0 {
			b.Release(1)
		}
	}}
	s.add(10)
	b.EvictWith(s, s)
	require.True(t, b.Reserve(10))
	require.True(t, b.Reserve(2))
	require.Equal(t, []int64{2, 2, 1}, s.asked)
	require.Equal(t, int64(10), b.Used())
}

func TestBudgetNeverPassesItsLimit(t *testing.T) {
	const limit = 50
	b := NewBudget(limit)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	b.EvictWith(s, s)
	var wg sync.WaitGroup
	var held atomic.Int64
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				n := int64(i%7 + 1)
				if !b.Reserve(n) {
					continue
				}
				if held.Add(n) > limit {
					panic("more is held than the limit allows")
				}
				if used := b.Used(); used > limit {
					panic("more is used than the limit allows")
				}
				held.Add(-n)
				if i%3 == 0 { // as entries, to be evicted
					s.mu.Lock()
					s.add(int(n))
					s.mu.Unlock()
				} else {
					b.Release(n)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(len(s.entries)), b.Used(), "all else was given back")
}

// shelfBudget returns a Budget of 10 whose shelf is full.
func shelfBudget(t *testing.T) (*Budget, *shelf) {
	b := NewBudget(10)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	s.add(10)
	b.EvictWith(s, s)
	require.True(t, b.Reserve(10))
	return b, s
}

func TestSetLimitEvictsDownToTheNewLimit(t *testing.T) {
	b, s := shelfBudget(t)
	b.SetLimit(4)
	require.Equal(t, int64(4), b.Limit())
	require.Equal(t, int64(4), b.Used())
	require.Len(t, s.entries, 4)
	require.False(t, b.Reserve(5))
	b.SetLimit(20)
	require.Equal(t, int64(4), b.Used())
	require.True(t, b.Reserve(16))
	b.Release(16)
	b.SetLimit(-1)
	require.Zero(t, b.Limit())
	require.Zero(t, b.Used())
}

// What is pinned cannot leave; the limit holds once it is released.
func TestSetLimitBelowWhatIsPinned(t *testing.T) {
	b, s := shelfBudget(t)
	b.limit.Store(18)
	require.True(t, b.Reserve(8), "a write under way")
	b.SetLimit(5)
	require.Equal(t, int64(8), b.Used())
	require.Empty(t, s.entries)
	require.False(t, b.Reserve(1))
	b.Release(8)
	require.True(t, b.Reserve(5))

	without := NewBudget(10)
	require.True(t, without.Reserve(8))
	without.SetLimit(5)
	require.Equal(t, int64(8), without.Used(), "nothing evicts")
	require.False(t, without.Reserve(1))
}
