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

func TestBudgetWithoutEvictionRefusesMoreThanItsLimit(t *testing.T) {
	b := NewBudget(10)
	require.Equal(t, int64(10), b.Limit())
	require.True(t, b.Reserve(nil, 4))
	require.True(t, b.Reserve(nil, 6))
	require.Equal(t, int64(10), b.Used())
	require.False(t, b.Reserve(nil, 1), "nothing evicts")
	require.Equal(t, int64(10), b.Used(), "a refused reservation takes nothing")
	b.Release(4)
	require.True(t, b.Reserve(nil, 3))
	require.False(t, b.Reserve(nil, 2))
	require.Equal(t, int64(9), b.Used())
}

func TestBudgetIgnoresZeroAndNegativeSizes(t *testing.T) {
	b := NewBudget(1)
	for _, n := range []int64{0, -1, math.MinInt64} {
		require.True(t, b.Reserve(nil, n))
		b.Release(n)
		require.Zero(t, b.Used())
	}
	require.False(t, b.Reserve(nil, 2))
	require.False(t, b.Reserve(nil, math.MaxInt64))
	require.True(t, b.Reserve(nil, 1))
	require.False(t, b.Reserve(nil, math.MaxInt64), "must not overflow")
}

func TestNilBudgetHasNoLimit(t *testing.T) {
	var b *Budget
	require.True(t, b.Reserve(nil, math.MaxInt64))
	b.Release(1)
	require.Zero(t, b.Used())
	require.Zero(t, b.Limit())
}

// shelf is an EvictionManager and a Storage in one. Its entries have one byte; the oldest leaves
// first.
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
	require.True(t, b.Reserve(nil, 8))
	require.True(t, b.Reserve(nil, 2), "there is room")
	require.Empty(t, s.asked)
	require.True(t, b.Reserve(nil, 3))
	require.Equal(t, []int64{3}, s.asked, "only the missing bytes are evicted")
	require.Equal(t, int64(10), b.Used())
	require.Len(t, s.entries, 5)

	require.False(t, b.Reserve(nil, 11))
	require.Len(t, s.asked, 1, "a reservation above the limit evicts nothing")
	require.False(t, b.Reserve(nil, 6))
	require.Len(t, s.asked, 1, "evicting all five entries would not be enough")
	require.Equal(t, int64(10), b.Used())
	require.True(t, b.Reserve(nil, 5))
}

// Evicting an entry that is being read frees nothing. A reservation that needs its room is refused,
// evicts nothing, and is reported to OnRefusal.
func TestBudgetDoesNotEvictWhatIsHeld(t *testing.T) {
	b := NewBudget(10)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }, held: 6}
	s.add(10)
	b.EvictWith(s, s)
	refusals := 0
	stop := b.OnRefusal(func() { refusals++ })
	others := 0
	b.OnRefusal(func() { others++ })
	require.True(t, b.Reserve(nil, 10))
	require.Zero(t, refusals)
	require.False(t, b.Reserve(nil, 5))
	require.Empty(t, s.asked)
	require.Equal(t, 1, refusals)
	require.True(t, b.Reserve(nil, 4))
	require.Equal(t, []int64{4}, s.asked)
	stop()
	require.False(t, b.Reserve(nil, 5))
	require.Equal(t, 1, refusals)
	require.Equal(t, 2, others)
}

// Once half of the limit is pinned, large reservations no longer evict. Small ones do. Both take
// what is free.
func TestLargeReservationsLeaveHalfOfTheLimitUnpinned(t *testing.T) {
	const limit = 16 << 20
	b := NewBudget(limit)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	b.EvictWith(s, s)
	require.True(t, b.Reserve(nil, limit/2))
	s.add(1 << 20) // of one byte each
	require.True(t, b.Reserve(nil, 1<<20))
	require.True(t, b.Reserve(nil, limit/2-1<<20), "there is room")
	require.False(t, b.Reserve(nil, smallReservation+1))
	require.Empty(t, s.asked)
	require.True(t, b.Reserve(nil, smallReservation))
	require.Equal(t, []int64{smallReservation}, s.asked)
}

// Evicted bodies that are still read free nothing at once. So more entries are evicted, until none
// is left.
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
	require.True(t, b.Reserve(nil, 10))
	require.True(t, b.Reserve(nil, 2))
	require.Equal(t, []int64{2, 2, 1}, s.asked)
	require.Equal(t, int64(10), b.Used())
}

func TestBudgetNeverExceedsItsLimitUnderConcurrency(t *testing.T) {
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
				if !b.Reserve(nil, n) {
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
	require.Equal(t, int64(len(s.entries)), b.Used(), "only the entries count")
}

// shelfBudget returns a Budget of 10 whose shelf is full.
func shelfBudget(t *testing.T) (*Budget, *shelf) {
	b := NewBudget(10)
	s := &shelf{released: func(CompactCacheKey) { b.Release(1) }}
	s.add(10)
	b.EvictWith(s, s)
	require.True(t, b.Reserve(nil, 10))
	return b, s
}

func TestSetLimitEvictsDownToTheNewLimit(t *testing.T) {
	b, s := shelfBudget(t)
	b.SetLimit(4)
	require.Equal(t, int64(4), b.Limit())
	require.Equal(t, int64(4), b.Used())
	require.Len(t, s.entries, 4)
	require.False(t, b.Reserve(nil, 5))
	b.SetLimit(20)
	require.Equal(t, int64(4), b.Used())
	require.True(t, b.Reserve(nil, 16))
	b.Release(16)
	b.SetLimit(-1)
	require.Zero(t, b.Limit())
	require.Zero(t, b.Used())
}

// What is pinned cannot leave; the limit holds once it is released.
func TestSetLimitBelowWhatIsPinned(t *testing.T) {
	b, s := shelfBudget(t)
	b.limit.Store(18)
	require.True(t, b.Reserve(nil, 8), "a write under way")
	b.SetLimit(5)
	require.Equal(t, int64(8), b.Used())
	require.Empty(t, s.entries)
	require.False(t, b.Reserve(nil, 1))
	b.Release(8)
	require.True(t, b.Reserve(nil, 5))

	without := NewBudget(10)
	require.True(t, without.Reserve(nil, 8))
	without.SetLimit(5)
	require.Equal(t, int64(8), without.Used(), "nothing evicts")
	require.False(t, without.Reserve(nil, 1))
}
