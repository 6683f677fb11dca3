package memcache

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

var _ stats.StorageReporter = (*MemCache)(nil)

// StorageStats implements [stats.StorageReporter]. It is safe for concurrent use, and locks one
// shard after the other for reading.
//
// The index part is what each entry weighs beyond its bytes. A write counts as in flight until its
// last reader has left; its body only until Finish or Abort. The body of an entry that was purged
// or replaced is open until its last hit is closed, unless the hit has copied it: that is a body of
// up to 4 KiB. If others use the Budget too, their bytes are not reported, but the limit is that of
// all. Without a limit the bytes are reported all the same.
//
// OffHeap is what the process has of them outside of the Go heap.
//
// One of 64 lookups is measured, and each other operation. The time of a write is that of Finish:
// what the store does, and not the waiting for the body.
func (c *MemCache) StorageStats() []stats.Storage {
	entries, placed := 0, int64(0)
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		entries += s.index.count
		placed += s.placed
		s.mu.RUnlock()
	}
	inFlight, memory := c.budget.inFlight.Load(), c.memory.Stats()
	index := int64(entries) * entryOverhead
	return []stats.Storage{{
		Name:    "memory",
		Entries: int64(entries),
		Limit:   c.budget.Limit(),
		Bytes: stats.StorageBytes{
			Entries:  placed - index,
			Index:    index,
			InFlight: inFlight,
			// What was stored or released meanwhile would make it negative.
			Open: max(c.budget.used.Load()-placed-inFlight, 0),
		},
		OffHeap:    stats.OffHeap{Used: memory.Used, Free: memory.Free},
		Refused:    c.budget.refused.Load(),
		Operations: c.operations.Stats(),
	}}
}

// account is the Budget of a MemCache, and what the MemCache has of it.
type account struct {
	*cirque.Budget // nil: no limit

	used     atomic.Int64  // bytes reserved by the MemCache; others may use the Budget too
	inFlight atomic.Int64  // the part of used that belongs to writes
	refused  atomic.Uint64 // number of reservations, and announced bodies, that found no room
}

// Reserve is like Budget.Reserve.
func (a *account) Reserve(trace *cirque.CacheTrace, n int64) bool {
	if !a.Budget.Reserve(trace, n) {
		a.refused.Add(1)
		return false
	}
	a.used.Add(n)
	return true
}

// Release is like Budget.Release.
func (a *account) Release(n int64) {
	a.used.Add(-n)
	a.Budget.Release(n)
}

// begin reserves n bytes for a write.
func (a *account) begin(trace *cirque.CacheTrace, n int64) bool {
	if !a.Reserve(trace, n) {
		return false
	}
	a.inFlight.Add(n)
	return true
}

// end releases n bytes of a write.
func (a *account) end(n int64) {
	a.inFlight.Add(-n)
	a.Release(n)
}

// settle takes n bytes of a write for its entry. They stay reserved.
func (a *account) settle(n int64) { a.inFlight.Add(-n) }

// timedLookup is Lookup, measured.
func (c *MemCache) timedLookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	defer c.operations.Lookup.Since(time.Now())
	return c.shard(key.PrimaryHash()).lookup(ctx, &key, 0)
}
