package cirque

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque/stats"
)

// Budget is one hard limit, in bytes, on what a Storage holds: entries with their headers and
// bookkeeping, writes under way, and evicted bodies that a reader still has open. The Storage calls
// Reserve before it allocates and Release after it has freed. A reservation that does not fit
// evicts first, synchronously.
//
// Bytes are pinned while no eviction can free them: writes under way, entries that a reader has
// open, and entries that were evicted while a reader had them open. A reservation is refused, and
// evicts nothing, if evicting everything else would not make room. It is also refused if it is
// larger than 64 KiB and more than half of the limit would then be pinned. So large bodies whose
// readers have stalled leave half of the limit to others.
//
// A Budget is safe for concurrent use. A nil *Budget has no limit.
//
// INVARIANT: used never exceeds limit, except after SetLimit, until what is pinned is released.
type Budget struct {
	limit  atomic.Int64
	used   atomic.Int64
	medium atomic.Uint32 // a stats.Medium

	// Set once, by EvictWith, before the Budget is shared. evict removes entries of at least need
	// bytes, tells the trace, and reports whether there were any. evictable returns the bytes that
	// evicting everything would free at once. resize tells the manager its new limit, and purges
	// what has to leave.
	evict     func(trace *CacheTrace, need int64) bool
	evictable func() int64
	resize    func(limit int64)

	resizing sync.Mutex // held by SetLimit

	mu      sync.Mutex                // held while refused changes
	refused atomic.Pointer[[]*func()] // see OnRefusal; what it points to never changes
}

// smallReservation is the largest reservation, in bytes, that may evict however much is pinned.
const smallReservation = 64 << 10

// SetMedium sets what Medium returns. The Storage that uses b calls it when it is made.
func (b *Budget) SetMedium(m stats.Medium) {
	if b != nil {
		b.medium.Store(uint32(m))
	}
}

// Medium returns what SetMedium has set; stats.MediumHeap by default.
func (b *Budget) Medium() stats.Medium {
	if b == nil {
		return stats.MediumHeap
	}
	return stats.Medium(b.medium.Load())
}

// NewBudget returns a Budget of limit bytes. Until EvictWith is called, a reservation that does not
// fit fails.
func NewBudget(limit int64) *Budget {
	b := new(Budget)
	b.limit.Store(limit)
	return b
}

// EvictWith lets the budget make room: manager chooses the victims, and storage purges them. It
// must be called once, before the Budget is in use. While the Storage reserves, it must not hold a
// lock that its Purge takes.
func (b *Budget) EvictWith(manager EvictionManager, storage Storage) {
	b.evictable = func() int64 { return manager.TotalWeight() - heldIn(storage) }
	b.evict = func(trace *CacheTrace, need int64) bool {
		victims := manager.Evict(need)
		evict(context.Background(), storage, trace, victims)
		return len(victims) > 0
	}
	b.resize = func(limit int64) {
		if m, ok := manager.(interface {
			SetLimit(limit int64) (evicted []CompactCacheKey)
		}); ok {
			evict(context.Background(), storage, nil, m.SetLimit(limit))
		}
	}
}

// SetLimit changes the limit, in bytes, and that of the EvictionManager, if that has a method
// SetLimit(limit int64) (evicted []CompactCacheKey). If more is in use, it evicts until the limit
// holds, or nothing is left that an eviction would free. What is pinned then stays in use until it
// is released.
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

// evict purges the victims from storage, and tells the trace of each. A victim that cannot be
// purged was gone already, or the Storage fails. Either way its bytes count until the Storage
// releases them.
func evict(ctx context.Context, storage Storage, trace *CacheTrace, victims []CompactCacheKey) {
	for _, key := range victims {
		err := storage.Purge(ctx, key, PurgeEviction)
		trace.evicted(key, err)
	}
}

// Reserve takes n bytes and reports whether there was room. It evicts if it must. If it fails, it
// has taken nothing, and has evicted nothing unless other reservations took that room meanwhile.
// The trace of the request that needs the room is told of each eviction; nil is no trace. A Storage
// finds the trace with [ContextCacheTrace].
func (b *Budget) Reserve(trace *CacheTrace, n int64) bool {
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
		// rounds. Each one shortens the manager's list, so they end.
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

// OnRefusal registers f to be called when a reservation is refused, until stop is called. f runs on
// the goroutine that wanted the room, which may hold locks: it must be quick, and must call neither
// the Budget nor the Storage.
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

// changeRefused replaces the list by the result of change, which gets a copy.
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
