package diskcache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// ledger is the store's account of disk space: the budget, what the scan has not found yet, and
// what others need.
type ledger struct {
	budget   *cirque.Budget
	eviction cirque.EvictionManager
	storage  cirque.Storage
	root     *root
	minFree  int64

	// unscanned is reserved for entries that are on disk but not in the index yet: what the last
	// owner recorded, less what was found.
	unscanned atomic.Int64

	step     int64        // what is recorded moves by this much at a time
	recorded atomic.Int64 // an upper limit of what the budget has given out
	mu       sync.Mutex   // held while recorded changes

	free struct {
		sync.Mutex
		until time.Time // when to ask the file system again
		bytes int64     // less what was reserved since
		known bool
	}
}

const freeInterval = time.Second

// reserve takes n bytes for something new, evicting to make room, and reports whether it could. No
// lock that Purge takes may be held.
func (l *ledger) reserve(n int64) bool {
	if n > 0 && (!l.leavesFree(n) || !l.budget.Reserve(n)) {
		return false
	}
	l.note()
	return true
}

// release gives back n bytes.
func (l *ledger) release(n int64) {
	l.budget.Release(n)
	l.note()
}

// found takes n bytes for an entry that is on disk already, from what is set aside for those.
func (l *ledger) found(n int64) bool {
	taken := l.takeUnscanned(n)
	if !l.budget.Reserve(n - taken) {
		l.release(taken)
		return false
	}
	l.note()
	return true
}

// lost gives back up to n bytes of what is set aside: an entry was removed before the scan found
// it.
func (l *ledger) lost(n int64) { l.release(l.takeUnscanned(n)) }

// setAside reserves up to n bytes for what is on disk and has to be found.
func (l *ledger) setAside(n int64) {
	n = min(n, l.budget.Limit()-l.budget.Used())
	if n > 0 && l.budget.Reserve(n) {
		l.unscanned.Add(n)
	}
	l.note()
}

func (l *ledger) takeUnscanned(n int64) int64 {
	for {
		have := l.unscanned.Load()
		taken := min(n, have)
		if l.unscanned.CompareAndSwap(have, have-taken) {
			return taken
		}
	}
}

// note records how much is given out, when that has moved by enough.
//
// INVARIANT: before a reservation is made use of, at least as much is recorded as is given out.
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

// far reports whether what is recorded is too little, or much too much.
func (l *ledger) far() bool {
	used, recorded := l.budget.Used(), l.recorded.Load()
	return used > recorded || recorded-used > 3*l.step
}

// leavesFree reports whether others have their free bytes after another n are taken, and gives up
// entries if not.
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

// ask asks the file system how much is free. Where it cannot tell, writing will. Called with free
// held.
func (l *ledger) ask() {
	free, known, err := freeBytes(l.root.dir)
	l.free.bytes, l.free.known = free, known && err == nil
}

// shrink gives up entries worth n bytes.
func (l *ledger) shrink(n int64) { l.evict(l.eviction.Evict(n)) }

// evict drops what the eviction manager gave up.
func (l *ledger) evict(keys []cirque.CompactCacheKey) {
	for _, key := range keys {
		// What cannot be dropped was not there, or the disk is failing and its bytes stay counted.
		_ = l.storage.Purge(context.Background(), key, cirque.PurgeEviction)
	}
}
