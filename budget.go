package cirque

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
)

// Budget is one hard limit, in bytes, on what a Storage holds: entries with their headers and
// bookkeeping, writes in flight, and evicted bodies that a reader still has open. The Storage
// reserves before it takes and releases when it has given back; a reservation that does not fit
// evicts first, synchronously.
//
// What is in use and cannot be freed by an eviction is pinned: writes under way, entries that a
// reader has open, and those that were evicted while it had. A reservation that could not be met by
// evicting all the rest is refused and evicts nothing. Nor does one of more than 64 KiB evict that
// would have more than half of the limit pinned: large bodies that nobody reads on leave half of
// the limit to those who do.
//
// A Budget is safe for concurrent use. A nil *Budget has no limit.
//
// INVARIANT: used never exceeds limit, except after SetLimit, until what is pinned is released.
type Budget struct {
	limit  atomic.Int64
	used   atomic.Int64
	medium atomic.Uint32 // a Medium

	// Written once, by EvictWith, before the Budget is shared. evict gives up entries worth at
	// least the bytes asked for, tells the trace, and reports whether there were any. evictable
	// returns the bytes that evicting everything would free at once. resize tells the manager its
	// new limit.
	evict     func(trace *CacheTrace, need int64) bool
	evictable func() int64
	resize    func(limit int64)

	resizing sync.Mutex // held by SetLimit

	mu      sync.Mutex                // held while refused changes
	refused atomic.Pointer[[]*func()] // see OnRefusal; what it points to never changes
}

// smallReservation is up to what size a reservation may evict whatever is pinned, in bytes.
const smallReservation = 64 << 10

// HoldingStorage is a Storage that knows what of its entries is being read. Without it, a [Budget]
// takes all that its EvictionManager tracks for what an eviction would free.
type HoldingStorage interface {
	Storage

	// Held returns the weight of the entries in place that readers have open, in bytes: evicting
	// them frees nothing before those have closed them. Small ones may be left out. It is safe for
	// concurrent use, and cheap.
	Held() int64
}

// BudgetedStorage is a Storage that limits itself by Budgets.
type BudgetedStorage interface {
	Storage

	// Budgets returns them. The slice is the caller's.
	Budgets() []*Budget
}

// LimitedStorage is a Storage that knows how much it can hold.
type LimitedStorage interface {
	Storage

	// Limit returns how many bytes of responses it can hold altogether; zero or less where there is
	// no limit.
	Limit() int64
}

// Medium says where a Storage keeps what it reserves from a Budget.
type Medium uint8

const (
	// MediumHeap is the Go heap, which the garbage collector lets grow beyond the limit.
	MediumHeap Medium = iota
	// MediumOffHeap is memory that the garbage collector does not count, apart from bookkeeping.
	MediumOffHeap
	// MediumDisk is a file system.
	MediumDisk
)

// SetMedium is called by the Storage that uses b, when it is made.
func (b *Budget) SetMedium(m Medium) {
	if b != nil {
		b.medium.Store(uint32(m))
	}
}

// Medium returns what SetMedium has set: by default MediumHeap.
func (b *Budget) Medium() Medium {
	if b == nil {
		return MediumHeap
	}
	return Medium(b.medium.Load())
}

// NewBudget returns a Budget of limit bytes. Until EvictWith is called, a reservation that does not
// fit fails.
func NewBudget(limit int64) *Budget {
	b := new(Budget)
	b.limit.Store(limit)
	return b
}

// EvictWith lets the budget make room: manager names the victims, storage drops them. Call it once,
// before the Budget is in use. The Storage must not hold, while it reserves, a lock that its Purge
// takes.
func (b *Budget) EvictWith(manager EvictionManager, storage Storage) {
	b.evictable = func() int64 { return manager.TotalWeight() - heldIn(storage) }
	b.evict = func(trace *CacheTrace, need int64) bool {
		victims := manager.Evict(need)
		evict(context.Background(), storage, trace, victims)
		return len(victims) > 0
	}
	b.resize = func(limit int64) {
		if m, ok := manager.(ResizableManager); ok {
			evict(context.Background(), storage, nil, m.SetLimit(limit))
		}
	}
}

// SetLimit changes the limit, in bytes, and that of the EvictionManager if it is a
// [ResizableManager]. If more is in use, it evicts until the limit holds, or nothing is left that an
// eviction would free. What is pinned then stays in use until it is released.
func (b *Budget) SetLimit(limit int64) {
	b.resizing.Lock()
	defer b.resizing.Unlock()
	b.limit.Store(max(limit, 0))
	if b.evict == nil {
		return
	}
	b.resize(b.Limit())
	for {
		need := min(b.used.Load()-b.Limit(), b.evictable())
		if need <= 0 || !b.evict(nil, need) {
			return
		}
	}
}

// evict drops the victims from storage, and tells the trace of each. What cannot be dropped was not
// there or the store is failing; either way its bytes stay counted until the store releases them.
func evict(ctx context.Context, storage Storage, trace *CacheTrace, victims []CompactCacheKey) {
	for _, key := range victims {
		err := storage.Purge(ctx, key, PurgeEviction)
		trace.evicted(key, err)
	}
}

// Reserve takes n bytes, evicting to make room where it must, and reports whether it could. Where
// it could not, nothing is taken, and nothing was evicted unless other reservations took the room
// meanwhile.
func (b *Budget) Reserve(n int64) bool { return b.ReserveFor(nil, n) }

// ReserveFor is Reserve on behalf of a request: its trace, nil for none, sees what has to leave. A
// Storage finds that with [ContextCacheTrace].
func (b *Budget) ReserveFor(trace *CacheTrace, n int64) bool {
	if b == nil || n <= 0 {
		return true
	}
	for {
		limit, used := b.limit.Load(), b.used.Load()
		if n > limit {
			return false
		}
		if used+n <= limit {
			if b.used.CompareAndSwap(used, used+n) {
				return true
			}
			continue
		}
		// An evicted body that is still being read frees nothing yet, so this may take several
		// rounds; each shortens the manager's list, so the rounds end.
		if b.evict == nil || !b.mayEvict(limit, used, n) || !b.evict(trace, used+n-limit) {
			b.refuse()
			return false
		}
	}
}

// mayEvict reports whether evicting can make room for n more bytes than used, and may.
func (b *Budget) mayEvict(limit, used, n int64) bool {
	evictable := b.evictable()
	if used+n-limit > evictable {
		return false
	}
	pinned := used - evictable
	return n <= smallReservation || pinned+n <= limit/2
}

// OnRefusal has f called when a reservation is refused for want of room, until the returned
// function is. f is called by the goroutine that wanted the room, which may hold locks: it must be
// quick, and call neither the Budget nor the Storage.
func (b *Budget) OnRefusal(f func()) (stop func()) {
	if b == nil {
		return func() {}
	}
	one := &f
	b.changeRefused(func(all []*func()) []*func() { return append(all, one) })
	return func() {
		b.changeRefused(func(all []*func()) []*func() {
			return slices.DeleteFunc(all, func(other *func()) bool { return other == one })
		})
	}
}

// changeRefused replaces the list by what change makes of a copy.
func (b *Budget) changeRefused(change func([]*func()) []*func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []*func()
	if now := b.refused.Load(); now != nil {
		all = slices.Clone(*now)
	}
	all = change(all)
	b.refused.Store(&all)
}

func (b *Budget) refuse() {
	if all := b.refused.Load(); all != nil {
		for _, f := range *all {
			(*f)()
		}
	}
}

// Release gives back n reserved bytes.
func (b *Budget) Release(n int64) {
	if b != nil && n > 0 {
		b.used.Add(-n)
	}
}

// Used returns the bytes reserved now.
func (b *Budget) Used() int64 {
	if b == nil {
		return 0
	}
	return b.used.Load()
}

// Limit returns the limit; zero where there is none.
func (b *Budget) Limit() int64 {
	if b == nil {
		return 0
	}
	return b.limit.Load()
}
