package cirque

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// inFlight lists the writes under way to each slot: fills, vary records, validated metas. The
// Storage cannot tell: it may not show a write before it is finished, and one write can hide
// another.
//
// INVARIANT: A writer enters its write here, then checks the purgeLog. A purge enters itself in the
// purgeLog, then checks here. So at least one of them sees the other. The writer leaves when the
// Storage has what was written. The purge waits until the writes that it sees have begun, because
// then the Storage can void them.
type inFlight struct {
	mu struct {
		sync.Mutex
		writes map[HashBinary][]*pendingWrite // by primary hash
		queues map[HashBinary][]chan struct{} // those who wait for the lock of a resource that is locked, by primary hash
	}
}

// lock locks all slots of a resource, so that the caller can compare and change them, or returns an
// error when ctx ends. Reading the slots takes no lock. The lock is held around calls of the
// Storage, never while waiting for the origin, and is never taken inside a call of the Storage.
func (f *inFlight) lock(ctx context.Context, primary HashBinary) error {
	f.mu.Lock()
	waits, held := f.mu.queues[primary]
	if !held {
		defer f.mu.Unlock()
		if f.mu.queues == nil {
			f.mu.queues = make(map[HashBinary][]chan struct{})
		}
		f.mu.queues[primary] = nil
		return nil
	}
	turn := make(chan struct{})
	f.mu.queues[primary] = append(waits, turn)
	f.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !f.leaveQueue(primary, turn) {
			f.unlock(primary) // it was our turn at that moment
		}
		return context.Cause(ctx)
	}
}

// leaveQueue removes turn from the waiters, and reports whether it was among them.
func (f *inFlight) leaveQueue(primary HashBinary, turn chan struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.mu.queues[primary]
	i := slices.Index(waits, turn)
	if i < 0 {
		return false
	}
	f.mu.queues[primary] = slices.Delete(waits, i, i+1)
	return true
}

// unlock gives the slots to the waiter that came first.
func (f *inFlight) unlock(primary HashBinary) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.mu.queues[primary]
	if len(waits) == 0 {
		delete(f.mu.queues, primary)
		return
	}
	f.mu.queues[primary] = waits[1:]
	close(waits[0])
}

// arrival is a response that has come to a slot: it is stored, it was refused, or it is being
// written.
type arrival struct {
	meta   *CacheMeta
	tag    Tag           // of its entry or its write; zero if it was refused
	own    *pendingWrite // its place in the list; nil if it has none
	linked bool          // it is being written, and can be read
}

// outrun marks the writes to key's slot whose responses are older than a as too late. It reports
// whether all other writes that an invalidation of key would void are older. It is called with the
// slots locked.
func (f *inFlight) outrun(key *CacheKey, a arrival) (all bool) {
	now := time.Now()
	all = true
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		switch {
		case w == a.own || w.meta == nil:
			// w is a's own, or not a response.
		case a.tag != 0 && w.tag == a.tag:
			w.meta = a.meta // a validates what w writes
		case w.variance != key.variance && !w.variance.IsZero() && !key.variance.IsZero():
			// w is of another variant, which a says nothing about.
		case !moreRecent(a.meta, w.meta, now):
			all = false
		case a.linked:
			w.outrunByWrite = true // that write may still fail
		case w.outrunBy == nil || moreRecent(a.meta, w.outrunBy, now):
			w.outrunBy = a.meta
		}
	}
	return all
}

// tooLate reports whether a more recent response came to w's slot: late if it was stored, validated
// or refused, outrunByWrite if it is being written and can be read.
func (f *inFlight) tooLate(w *pendingWrite) (late, outrunByWrite bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return w.outrunBy != nil, w.outrunByWrite
}

// isLate reports whether the write with this tag, which can still be read, is older than a response
// that was stored, validated or refused since the write began.
func (f *inFlight) isLate(key *CacheKey, tag Tag) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		if w.tag == tag {
			return w.outrunBy != nil
		}
	}
	return false
}

// outranks returns the most recent response for which a write under way to key's slot is too late,
// or nil. Such a write can hide the entry of that response from Lookup.
func (f *inFlight) outranks(key *CacheKey) (latest *CacheMeta) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		if w.outrunBy != nil && w.variance == key.variance && (latest == nil || moreRecent(w.outrunBy, latest, now)) {
			latest = w.outrunBy
		}
	}
	return latest
}

// pendingWrite is one write to a slot. inFlight's lock guards it.
type pendingWrite struct {
	variance      HashBinary
	begun         bool
	tag           Tag           // set once it has begun
	void          bool          // a purge could not wait for it to begin; does not change once it has begun
	meta          *CacheMeta    // of the response; nil: it is not a response
	outrunBy      *CacheMeta    // of a more recent response that was stored, validated or refused; nil: none
	outrunByWrite bool          // a more recent response is being written, and can be read
	awaited       chan struct{} // closed when the write has begun or was given up; nil: nobody waits for that
}

// begin wakes those who wait for the write to begin.
func (w *pendingWrite) begin() {
	w.begun = true
	if w.awaited != nil {
		close(w.awaited)
		w.awaited = nil
	}
}

// enter lists w as under way to key's slot. Of w, only meta may be set.
func (f *inFlight) enter(key CacheKey, w *pendingWrite) {
	w.variance = key.variance
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.writes == nil {
		f.mu.writes = make(map[HashBinary][]*pendingWrite)
	}
	f.mu.writes[key.primaryHash] = append(f.mu.writes[key.primaryHash], w)
}

// begun says that the Storage knows the write by this tag, so that a purge can void it. From now on
// w.void does not change.
func (f *inFlight) begun(w *pendingWrite, tag Tag) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.tag = tag
	w.begin()
}

// leave takes w off the list.
func (f *inFlight) leave(key CacheKey, w *pendingWrite) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.begin()
	writes := f.mu.writes[key.primaryHash]
	if len(writes) == 1 {
		delete(f.mu.writes, key.primaryHash)
		return
	}
	i := slices.Index(writes, w)
	f.mu.writes[key.primaryHash] = slices.Delete(writes, i, i+1)
}

// settleTime bounds how long a purge waits for writes to begin. The Storage may hang, or it may
// wait for the purge itself, if a hook that the Storage called has started the purge.
const settleTime = 5 * time.Second

// settle waits until the writes to the slots of key's resource have begun, and returns the
// variances of those slots; zero is the primary slot. If that takes too long, or ctx ends, it voids
// the writes that have not begun.
func (f *inFlight) settle(ctx context.Context, key CacheKey) ([]HashBinary, error) {
	variances, waits := f.of(key)
	if len(waits) == 0 {
		return variances, nil
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for _, begun := range waits {
		select {
		case <-begun:
		case <-ctx.Done():
			f.void(key)
			return variances, fmt.Errorf("cirque: a write to the purged key has not begun: %w", ctx.Err())
		}
	}
	return variances, nil
}

// void voids the writes to the slots of key's resource that have not begun.
func (f *inFlight) void(key CacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		w.void = w.void || !w.begun
	}
}

// of returns the variances of the writes to the slots of key's resource, and a channel to wait for
// each write that has not begun.
func (f *inFlight) of(key CacheKey) (variances []HashBinary, waits []<-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		variances = append(variances, w.variance)
		if w.begun {
			continue
		}
		if w.awaited == nil {
			w.awaited = make(chan struct{})
		}
		waits = append(waits, w.awaited)
	}
	return variances, waits
}
