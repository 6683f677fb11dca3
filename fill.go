package cirque

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// ErrPurged says that the response must not be stored: while it was being fetched the key was
// purged, or its vary record gave way to another. A purge of everything, or of a group that the
// response is in, counts too.
var ErrPurged = errors.New("cirque: purged while being fetched")

// Fill is one response on its way into the Storage. It owns the write permit, the MissHandler and
// the size tracker, and tells the predictor how it ended. It outlives the request that began it:
// its end is Finish or Abort, one of which must be called; Abort after either does nothing.
//
// One goroutine at a time writes and ends it. Readers, Awaited, Yield, Key, Meta and Tag may be
// called from others.
type Fill struct {
	slot
	ctx     context.Context
	meta    *CacheMeta
	writer  StreamingMissHandler
	streams bool // others find the write in the Storage while it is under way
	pending pendingWrite

	permit        atomic.Pointer[WritePermit]
	lockKey       CacheKey
	lastTurn      bool
	unshared      bool
	predictionKey CacheKey
	tracker       sizeTracker
	cost          time.Duration
	started       time.Time
	older         storedEntry // what the response is more recent than

	reason NoCacheReason // why nothing will be stored, once that is known
	err    error         // what that stands for, if more is known
	ended  bool
}

// leave ends the write, if nothing has, and the fill's being in flight.
func (f *Fill) leave() {
	defer f.state.inFlight.leave(f.key, &f.pending)
	if f.writer != nil {
		f.writer.Abort()
	}
}

// Meta returns the meta that is being stored.
func (f *Fill) Meta() *CacheMeta { return f.meta }

// Tag returns the tag that the entry will have.
func (f *Fill) Tag() Tag { return f.writer.Tag() }

// Readers returns how many readers are attached to the body.
func (f *Fill) Readers() int { return f.writer.Readers() }

// Written returns the bytes of the body so far.
func (f *Fill) Written() int64 { return f.tracker.seen }

// NoCacheReason returns why nothing will be, or was, stored; empty as long as nothing stands
// against it.
func (f *Fill) NoCacheReason() NoCacheReason { return f.reason }

// Err returns what NoCacheReason stands for where more is known: the Storage's error, ErrPurged or
// ErrSuperseded.
func (f *Fill) Err() error { return f.err }

// Write appends to the body. A body that passes the maximum size is not stored, but its readers get
// all of it. Any error means that nobody needs the rest: abort.
func (f *Fill) Write(p []byte) (int, error) {
	f.count(len(p))
	return f.writer.Write(p)
}

// ReadFrom implements io.ReaderFrom: it appends what r yields up to its end, read straight into the
// Storage where that can do so. After an error of r, which it returns, the body can be gone on
// with.
func (f *Fill) ReadFrom(r io.Reader) (int64, error) {
	return readFrom(f.writer, &countedReader{f, r})
}

// countedReader counts what is read into a fill before that has it.
type countedReader struct {
	fill *Fill
	from io.Reader
}

// Read implements io.Reader.
func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	r.fill.count(n)
	return n, err
}

// count counts n bytes that are about to be appended.
func (f *Fill) count(n int) {
	if !f.tracker.add(int64(n)) && f.reason == "" {
		f.refuse(ResponseTooLarge)
	}
}

// refuse lets the body go on for its readers alone.
func (f *Fill) refuse(reason NoCacheReason) {
	f.writer.Unlink()
	f.giveUp(reason)
}

// giveUp lets those go who wait to have the body from the Storage, and tells the predictor why.
func (f *Fill) giveUp(reason NoCacheReason) {
	f.reason = reason
	if f.opts.Predictor != nil {
		f.opts.Predictor.MarkUncacheable(f.predictionKey, reason)
	}
	f.release(reason)
	if reason == ResponseTooLarge {
		f.supersede()
	}
}

// supersede ends the life of the entry that was found before the origin sent this response: that is
// the more recent one, stored or not (RFC 9111 §4). What others have stored since stays; what was
// asked for earlier is not stored.
func (f *Fill) supersede() {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	f.state.inFlight.outrun(&f.key, f.meta, 0, &f.pending, false)
	if f.older.tag == 0 {
		return
	}
	ctx, key := context.WithoutCancel(f.ctx), f.key.WithVariance(f.older.variance)
	_, hit, err := f.opts.Storage.Lookup(ctx, key)
	if err != nil {
		return
	}
	defer hit.Close()
	if hit.Tag() == f.older.tag {
		// No invalidation, which would void what others are writing.
		_ = f.opts.drop(ctx, key, PurgeEviction)
	}
}

// Finish ends a body that is complete. It returns nil if the response is stored now, ErrUnlinked if
// it was too large, there was no room or NoCacheReason says otherwise, ErrNotFound if a purge
// voided it or its vary record, or a more recent response was stored meanwhile (ErrSuperseded), or
// the Storage's error. Readers see the body's clean end in the first three.
func (f *Fill) Finish() error {
	if f.ended {
		return nil
	}
	err := f.store() // if it panics, there is still Abort
	f.ended = true
	defer f.release(StorageError) // nothing, unless the Storage panics now
	f.leave()
	switch {
	case err == nil:
		if f.opts.Predictor != nil && !f.unshared {
			f.opts.Predictor.MarkCacheable(f.predictionKey)
		}
	case errors.Is(err, ErrUnlinked):
		if f.reason == "" {
			f.giveUp(ResponseTooLarge)
		}
	case errors.Is(err, ErrNotFound):
		f.reason = Deferred
	default:
		f.reason, f.err = StorageError, err
	}
	f.release(f.reason)
	if err == nil {
		f.evictVoided(f.ctx)
	}
	f.trace.fillDone(f.key, f.meta, f.tracker.seen, time.Since(f.started), f.reason, err)
	return err
}

// store ends the write, and makes the entry it became known to all who have to know of it.
func (f *Fill) store() error {
	done, err := f.finishWrite()
	switch {
	case errors.Is(err, ErrUnlinked) && errors.Is(f.err, ErrPurged):
		return ErrNotFound // whichever of its write and its vary record the purge came upon first
	case errors.Is(err, ErrUnlinked) && superseded(f.err):
		return f.err
	case err != nil:
		return err
	}
	if !f.streams {
		if err := f.enterVariant(f.ctx, f.meta); err != nil {
			_ = f.opts.drop(f.ctx, f.key, PurgeInvalidation) // nobody would find it
			if superseded(err) {
				f.err = err
			}
			if errors.Is(err, ErrPurged) {
				err = ErrNotFound
			}
			return err
		}
	}
	return f.admit(done)
}

// finishWrite makes an entry of what was written, unless it was overtaken.
func (f *Fill) finishWrite() (MissFinish, error) {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return MissFinish{}, err
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	if f.reason == "" {
		late, hidden := f.state.inFlight.tooLate(&f.pending)
		switch {
		case late || hidden:
			f.reason, f.err = Deferred, ErrSuperseded
			if !late {
				f.dropOlder()
			}
		case f.state.Voids(f.meta):
			f.reason, f.err = Deferred, ErrPurged
		}
		if f.reason != "" {
			f.writer.Unlink()
		}
	}
	done, err := f.writer.Finish()
	if err == nil {
		f.state.inFlight.outrun(&f.key, f.meta, f.Tag(), &f.pending, false)
	}
	return done, err
}

// dropOlder removes an entry that is older than f. A write under way is more recent than both, so
// that f is not stored; if that write fails, the older entry must not be left. Called with the slot
// locked.
func (f *Fill) dropOlder() {
	found, hit, err := f.opts.Storage.Lookup(f.trace.in(f.ctx), f.key)
	if err != nil {
		return
	}
	defer hit.Close()
	if inPlace := hit.CountsAccess(); !inPlace || !moreRecent(found, f.meta, time.Now()) {
		_ = f.opts.drop(f.ctx, f.key, PurgeEviction)
	}
}

// Abort ends a body that is not complete: nothing is stored, readers get an error, and another
// request may take its turn.
func (f *Fill) Abort(reason NoCacheReason) {
	if f.ended {
		return
	}
	f.ended = true
	defer f.release(reason) // even if the Storage panics
	f.leave()
	if f.reason == "" {
		f.reason = reason
	}
	f.release(reason)
	f.trace.fillDone(f.key, f.meta, f.tracker.seen, time.Since(f.started), f.reason, ErrAborted)
}

// admit has the eviction manager make room for the entry. It returns ErrUnlinked where the manager
// declines it.
func (f *Fill) admit(done MissFinish) error {
	manager, key := f.opts.Eviction, f.key.Compact()
	if manager == nil {
		return nil
	}
	var evicted []CompactCacheKey
	if done.Appended {
		evicted = manager.IncrementWeight(key, done.Size, done.Max)
	} else {
		evicted = manager.Admit(key, done.Size, f.meta.FreshUntil(), f.cost)
	}
	f.opts.evict(f.ctx, f.trace, evicted)
	if slices.Contains(evicted, key) {
		f.noRoom()
		return ErrUnlinked
	}
	return nil
}

// noRoom lets those go who wait for a response that is too large for the room there is now: no news
// for the predictor.
func (f *Fill) noRoom() {
	f.reason = ResponseTooLarge
	f.release(ResponseTooLarge)
}

// release gives up the write permit; the empty reason says that the response can be had from the
// Storage.
func (f *Fill) release(reason NoCacheReason) {
	permit := f.permit.Swap(nil)
	if permit == nil {
		return
	}
	status := f.opts.lockStatus(reason)
	if status != LockDone && f.lastTurn {
		status = LockGiveUp
	}
	f.opts.Lock.Release(f.lockKey, permit, status)
}

// Awaited reports whether requests wait for what the fill will leave in the Storage. Those who read
// along are not among them. It may be called from any goroutine.
func (f *Fill) Awaited() bool {
	permit := f.permit.Load()
	return permit != nil && permit.awaited()
}

// Yield says that the fill will not come to its end: its context was cancelled. Another request may
// take its turn at once, however long the writer still needs to notice. It may be called from any
// goroutine; Abort is owed all the same.
func (f *Fill) Yield() { f.release(Deferred) }
