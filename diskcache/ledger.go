package diskcache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// ledger is the store's account of disk space: its budget, the space of entries that the scan has
// not found yet, and the free space that others need.
type ledger struct {
	budget   *cirque.Budget
	eviction cirque.EvictionManager
	storage  cirque.Storage
	root     *root
	minFree  int64

	// unscanned is the bytes reserved for entries that are on disk but not in the index yet: what
	// the last owner recorded, less what the scan has found.
	unscanned atomic.Int64

	inFlight atomic.Int64 // bytes reserved for writes and new metas under way
	owed     atomic.Int64 // bytes of entries that have left, whose files are open
	refused  atomic.Uint64

	step     int64        // the precision of recorded
	recorded atomic.Int64 // in the lock file: an upper limit of the reserved bytes
	mu       sync.Mutex   // held while recorded changes

	free struct {
		sync.Mutex
		until time.Time // when to ask the file system again
		bytes int64     // as the file system said, less what was reserved since
		known bool
	}
}

const freeInterval = time.Second

// reserve reserves n bytes for something new, evicting to make room, and reports whether it could.
// The caller must not hold a lock that Purge takes.
func (l *ledger) reserve(n int64) bool {
	if n > 0 && (!l.leavesFree(n) || !l.budget.Reserve(nil, n)) {
		return false
	}
	l.note()
	return true
}

// release gives n bytes back.
func (l *ledger) release(n int64) {
	l.budget.Release(n)
	l.note()
}

// begin reserves n bytes for a write or a new meta under way.
func (l *ledger) begin(n int64) bool {
	if !l.reserve(n) {
		return false
	}
	l.inFlight.Add(n)
	return true
}

// end releases n bytes of a write or a new meta under way.
func (l *ledger) end(n int64) {
	l.inFlight.Add(-n)
	l.release(n)
}

// settle takes n bytes of a write or a new meta under way for its entry. They stay reserved.
func (l *ledger) settle(n int64) { l.inFlight.Add(-n) }

// refuse counts something that found no room.
func (l *ledger) refuse() { l.refused.Add(1) }

// found reserves n bytes for an entry that the scan has found on disk. It takes them from unscanned
// as far as possible.
func (l *ledger) found(n int64) bool {
	taken := l.takeUnscanned(n)
	if !l.budget.Reserve(nil, n-taken) {
		l.release(taken)
		return false
	}
	l.note()
	return true
}

// lost gives back up to n bytes of unscanned: an entry was removed before the scan found it.
func (l *ledger) lost(n int64) { l.release(l.takeUnscanned(n)) }

// setAside reserves up to n bytes for the entries that are on disk and that the scan must find.
func (l *ledger) setAside(n int64) {
	n = min(n, l.budget.Limit()-l.budget.Used())
	if n > 0 && l.budget.Reserve(nil, n) {
		l.unscanned.Add(n)
	}
	l.note()
}

// takeUnscanned takes up to n bytes off unscanned and returns how many; they stay reserved.
func (l *ledger) takeUnscanned(n int64) int64 {
	for {
		have := l.unscanned.Load()
		taken := min(n, have)
		if l.unscanned.CompareAndSwap(have, have-taken) {
			return taken
		}
	}
}

// note records how much is reserved in the lock file, when that differs enough from what is
// recorded.
//
// INVARIANT: before a reservation is used, at least as many bytes are recorded as are reserved.
func (l *ledger) note() {
	if !l.far() {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.far() {
		n := min(l.budget.Used()+l.step, l.budget.Limit())
		l.recorded.Store(n)
		l.root.record(n)
	}
}

// far reports whether recorded is too low, or much too high.
func (l *ledger) far() bool {
	used, recorded := l.budget.Used(), l.recorded.Load()
	return used > recorded || recorded-used > 3*l.step
}

// leavesFree reports whether minFree bytes stay free after n more are taken. It evicts entries if
// they would not.
func (l *ledger) leavesFree(n int64) bool {
	if l.minFree == 0 {
		return true
	}
	l.free.Lock()
	if now := time.Now(); !now.Before(l.free.until) {
		l.free.until = now.Add(freeInterval)
		l.ask()
		if short := l.minFree + n - l.free.bytes; l.free.known && short > 0 {
			l.free.Unlock()
			l.shrink(short)
			l.free.Lock()
			l.ask()
		}
	}
	defer l.free.Unlock()
	if !l.free.known {
		return true
	}
	if l.free.bytes-n < l.minFree {
		return false
	}
	l.free.bytes -= n
	return true
}

// ask asks the file system how much is free. If the file system cannot tell, a write will fail when
// the disk is full. Called with free locked.
func (l *ledger) ask() {
	free, known, err := freeBytes(l.root.dir)
	l.free.bytes, l.free.known = free, known && err == nil
}

// shrink evicts entries that weigh n bytes.
func (l *ledger) shrink(n int64) { l.evict(l.eviction.Evict(n)) }

// evict removes the entries of keys, which the eviction manager has given up.
func (l *ledger) evict(keys []cirque.CompactCacheKey) {
	for _, key := range keys {
		// If Purge fails, the entry was not there, or the disk fails and the entry's bytes stay
		// counted.
		_ = l.storage.Purge(context.Background(), key, cirque.PurgeEviction)
	}
}
