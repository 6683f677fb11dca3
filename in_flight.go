package cirque

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// inFlight knows the slots into which something is on its way: a fill, a vary record, a validated
// meta. Not every Storage shows what it does not have yet, and one write can hide another.
//
// INVARIANT: who writes enters the slot before asking the purgeLog, and leaves it when the Storage
// has what was written. Who purges enters the purge into the log before asking here. So one of them
// knows of the other. Who purges goes on when the writes that had been entered have begun: then the
// Storage can void them.
type inFlight struct {
	mu struct {
		sync.Mutex
		writes map[HashBinary][]*pendingWrite // by primary hash
		slots  map[HashBinary][]chan struct{} // those locked, and who waits for them, by primary hash
	}
}

// lock waits until the slots of a resource are the caller's to compare and change, or ctx ends;
// unlock ends that. Reading the slots takes no lock. It is held around calls of the Storage, never
// while the origin is waited for, and is never taken inside a call of the Storage.
func (f *inFlight) lock(ctx context.Context, primary HashBinary) error {
	f.mu.Lock()
	waits, held := f.mu.slots[primary]
	if !held {
		defer f.mu.Unlock()
		if f.mu.slots == nil {
			f.mu.slots = make(map[HashBinary][]chan struct{})
		}
		f.mu.slots[primary] = nil
		return nil
	}
	turn := make(chan struct{})
	f.mu.slots[primary] = append(waits, turn)
	f.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !f.leaveQueue(primary, turn) {
			f.unlock(primary) // the turn came at that moment
		}
		return context.Cause(ctx)
	}
}

// leaveQueue takes turn off those that wait for the slots, if it is among them.
func (f *inFlight) leaveQueue(primary HashBinary, turn chan struct{}) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.mu.slots[primary]
	i := slices.Index(waits, turn)
	if i < 0 {
		return false
	}
	f.mu.slots[primary] = slices.Delete(waits, i, i+1)
	return true
}

// unlock gives the slots to the one who has waited longest.
func (f *inFlight) unlock(primary HashBinary) {
	f.mu.Lock()
	defer f.mu.Unlock()
	waits := f.mu.slots[primary]
	if len(waits) == 0 {
		delete(f.mu.slots, primary)
		return
	}
	f.mu.slots[primary] = waits[1:]
	close(waits[0])
}

// outrun notes that a response with this meta and tag is in key's slot, or on its way there if
// linked is true; a response without a tag was refused. Writes of older responses are marked as too
// late. It reports whether all other writes that an invalidation of key would void are older.
// Called with the slot locked.
func (f *inFlight) outrun(key *CacheKey, meta *CacheMeta, tag Tag, own *pendingWrite, linked bool) (all bool) {
	now := time.Now()
	all = true
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		switch {
		case w == own || w.meta == nil:
		case tag != 0 && w.tag == tag:
			w.meta = meta // it is this one's
		case w.variance != key.variance && !w.variance.IsZero() && !key.variance.IsZero():
			// Of another variant: this one is no news about it.
		case !moreRecent(meta, w.meta, now):
			all = false
		case linked:
			w.hidden = true
		default:
			if w.late == nil || moreRecent(meta, w.late, now) {
				w.late = meta
			}
		}
	}
	return all
}

// tooLate reports whether a more recent response is in w's slot: stored or refused, or, linked, on
// its way.
func (f *inFlight) tooLate(w *pendingWrite) (late, linked bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return w.late != nil, w.hidden
}

// isLate reports whether the write with that tag, which can still be read, is older than what was
// stored or validated since it began.
func (f *inFlight) isLate(key *CacheKey, tag Tag) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		if w.tag == tag {
			return w.late != nil
		}
	}
	return false
}

// outranks returns the most recent response that writes under way to key's slot have been found too
// late for; nil where there is none. It can be in place behind such a write, where Lookup does not
// find it.
func (f *inFlight) outranks(key *CacheKey) (latest *CacheMeta) {
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.mu.writes[key.primaryHash] {
		if w.late != nil && w.variance == key.variance && (latest == nil || moreRecent(w.late, latest, now)) {
			latest = w.late
		}
	}
	return latest
}

// pendingWrite is one write to a slot. inFlight's lock guards it.
type pendingWrite struct {
	variance HashBinary
	begun    bool
	tag      Tag           // once it has begun
	void     bool          // a purge could not wait for it to begin; that changes no more once it has
	meta     *CacheMeta    // of a response; nil where it is none
	late     *CacheMeta    // of a more recent response that was stored, validated or refused; nil: none
	hidden   bool          // one is on its way, and can be read already
	awaited  chan struct{} // closed once the write has begun, or was given up; nil where nobody waits for that
}

// begin ends the wait of those who wait for the write to begin.
func (w *pendingWrite) begin() {
	w.begun = true
	if w.awaited != nil {
		close(w.awaited)
		w.awaited = nil
	}
}

// enter notes w, new but for its meta, as on its way to key's slot.
func (f *inFlight) enter(key CacheKey, w *pendingWrite) {
	w.variance = key.variance
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.writes == nil {
		f.mu.writes = make(map[HashBinary][]*pendingWrite)
	}
	f.mu.writes[key.primaryHash] = append(f.mu.writes[key.primaryHash], w)
}

// begun says that the Storage knows of the write, by that tag, so that a purge voids it. Whether
// one has given up waiting for that is certain from now on.
func (f *inFlight) begun(w *pendingWrite, tag Tag) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w.tag = tag
	w.begin()
}

// leave ends what enter began.
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

// settleTime bounds how long a purge waits for writes to begin: the Storage may hang, or wait for
// the purge itself where a hook is its cause.
const settleTime = 5 * time.Second

// settle waits until what is on its way into the slots of key's resource has begun, and returns the
// variances of those slots: zero for the primary one. What has not begun when that took too long,
// or ctx has ended, is void.
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
			return variances, fmt.Errorf("cirque: a write to what is purged does not begin: %w", ctx.Err())
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

// of returns the variances of the slots of key's resource into which something is on its way, and
// what to wait for.
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
