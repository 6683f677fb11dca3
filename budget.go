package cirque

import (
	"context"
	"sync/atomic"
)

// Budget is one hard limit, in bytes, on what a Storage holds: entries with their headers and bookkeeping,
// writes in flight, and evicted bodies that a reader still has open. The Storage reserves before it takes and
// releases when it has given back; a reservation that does not fit evicts first, synchronously.
//
// A Budget is safe for concurrent use. A nil *Budget has no limit.
//
// INVARIANT: used never exceeds limit.
type Budget struct {
	limit int64
	used  atomic.Int64

	// evict gives up entries worth at least the bytes asked for, tells the trace, and reports whether there were
	// any. Written once, by EvictWith, before the Budget is shared.
	evict func(trace *CacheTrace, need int64) bool
}

// NewBudget returns a Budget of limit bytes. Until EvictWith is called, a reservation that does not fit
// fails.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// EvictWith lets the budget make room: manager names the victims, storage drops them. Call it once, before
// the Budget is in use. The Storage must not hold, while it reserves, a lock that its Purge takes.
func (b *Budget) EvictWith(manager EvictionManager, storage Storage) {
	b.evict = func(trace *CacheTrace, need int64) bool {
		victims := manager.Evict(need)
		evict(context.Background(), storage, trace, victims)
		return len(victims) > 0
	}
}

// evict drops the victims from storage, and tells the trace of each. What cannot be dropped was not there or the store is
// failing; either way its bytes stay counted until the store releases them.
func evict(ctx context.Context, storage Storage, trace *CacheTrace, victims []CompactCacheKey) {
	for _, key := range victims {
		err := storage.Purge(ctx, key, PurgeEviction)
		trace.evicted(key, err)
	}
}

// Reserve takes n bytes, evicting to make room where it must, and reports whether it could. Where it could
// not, nothing is taken.
func (b *Budget) Reserve(n int64) bool { return b.ReserveFor(nil, n) }

// ReserveFor is Reserve on behalf of a request: its trace, nil for none, sees what has to leave. A Storage finds that with
// [ContextCacheTrace].
func (b *Budget) ReserveFor(trace *CacheTrace, n int64) bool {
	if b == nil || n <= 0 {
		return true
	}
	if n > b.limit {
		return false
	}
	for {
		used := b.used.Load()
		if used+n <= b.limit {
			if b.used.CompareAndSwap(used, used+n) {
				return true
			}
			continue
		}
		// An evicted body that is still being read frees nothing yet, so this may take several rounds; each
		// shortens the manager's list, so the rounds end.
		if b.evict == nil || !b.evict(trace, used+n-b.limit) {
			return false
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
	return b.limit
}
