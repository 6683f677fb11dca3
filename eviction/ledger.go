package eviction

import "sync/atomic"

// room is an amount of weight and entries, the two things that a manager limits.
type room struct {
	weight int64 // bytes
	items  int64
}

// ledger keeps a manager's totals over all its shards. Room is reserved before an entry takes it,
// so the totals never exceed the limits.
//
// INVARIANT: weight ≤ limit and items ≤ maxItems, except for what [ledger.force] added since
// the last call of a method that evicts, and while SetLimit lowers the limit.
type ledger struct {
	limit    atomic.Int64
	maxItems int64 // zero: no limit

	weight, items atomic.Int64
}

// reserve takes all of r, or takes nothing and returns false.
func (l *ledger) reserve(r room) bool {
	if !take(&l.weight, r.weight, l.limit.Load()) {
		return false
	}
	if l.maxItems > 0 && !take(&l.items, r.items, l.maxItems) {
		l.weight.Add(-r.weight)
		return false
	}
	if l.maxItems == 0 {
		l.items.Add(r.items)
	}
	return true
}

// take adds n to v unless the sum would exceed limit. Giving back always succeeds.
func take(v *atomic.Int64, n, limit int64) bool {
	for {
		old := v.Load()
		if n > 0 && old > limit-n {
			return false
		}
		if v.CompareAndSwap(old, old+n) {
			return true
		}
	}
}

// force takes r without regard to the limits.
func (l *ledger) force(r room) {
	l.weight.Add(r.weight)
	l.items.Add(r.items)
}

func (l *ledger) release(r room) {
	l.weight.Add(-r.weight)
	l.items.Add(-r.items)
}

// over reports whether a limit is exceeded.
func (l *ledger) over() bool {
	return l.weight.Load() > l.limit.Load() || l.maxItems > 0 && l.items.Load() > l.maxItems
}
