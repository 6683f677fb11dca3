package cirque

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

// ErrPurged means that the response must not be stored, because a purge of its key, of one of its
// groups or of everything came while it was fetched, or because its vary record was replaced.
var ErrPurged = errors.New("cirque: purged while being fetched")

// Fill is one response that is being stored. It owns the write permit, the MissHandler and the size
// tracker, and tells the predictor how it ended. It outlives the request that began it. Either
// Finish or Abort must be called; Abort after either does nothing.
//
// A fill ends in one of these ways. The waiters are told as soon as it is known; with
// FillOptions.LastTurn they get LockGiveUp instead of each status but LockDone.
//
//	how it ends         readers    waiters             predictor    the slot
//	stored              clean end  LockDone            cacheable    has the response
//	stored, Unshared    clean end  LockDone, GiveUp    not told     has the response
//	too large           all of it  LockGiveUp          uncacheable  an older entry is removed
//	no room at first    all of it  LockGiveUp          not told     keeps its entry
//	no room later       all of it  LockGiveUp          uncacheable  an older entry is removed
//	declined (1)        clean end  LockGiveUp          not told     is empty
//	superseded          all of it  LockTransientError  not told     has the more recent response
//	purged              all of it  LockTransientError  not told     is as the purge left it
//	Storage failed (2)  an error   LockTransientError  not told     keeps its entry
//	aborted             an error   for its reason      not told     keeps its entry
//
// (1) The EvictionManager evicts the new entry at once. (2) If only the vary record could not be
// written, the readers get all of the body. Yield releases the waiters ahead of Abort.
//
// One goroutine at a time may write and end it. Readers, Awaited, Yield and Tag may be called
// from others.
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
	older         storedEntry // the entry that the response is more recent than

	reason NoCacheReason // why nothing will be stored; empty: nothing prevents it yet
	err    error         // the cause of reason, if it is known
	ended  bool
}

// Meta returns the meta that is being stored.
func (f *Fill) Meta() *CacheMeta { return f.meta }

// Tag returns the tag that the entry will have.
func (f *Fill) Tag() Tag { return f.writer.Tag() }

// Readers returns how many readers are attached to the body.
func (f *Fill) Readers() int { return f.writer.Readers() }

// Written returns the bytes of the body so far.
func (f *Fill) Written() int64 { return f.tracker.seen }

// NoCacheReason returns why nothing was or will be stored. It is empty as long as nothing prevents
// that.
func (f *Fill) NoCacheReason() NoCacheReason { return f.reason }

// Err returns the cause of NoCacheReason, if it is known: the Storage's error, ErrPurged,
// ErrSuperseded or ErrUnlinked.
func (f *Fill) Err() error { return f.err }

// Write appends to the body. A body that is larger than the maximum is not stored, but its readers
// get all of it. After an error nobody needs the rest, and Abort must be called.
func (f *Fill) Write(p []byte) (int, error) {
	f.count(len(p))
	return f.writer.Write(p)
}

// ReadFrom implements io.ReaderFrom: it appends r up to its end. If the Storage can, it reads
// straight to where the body is kept. If r fails, ReadFrom returns r's error, and writing may
// continue.
func (f *Fill) ReadFrom(r io.Reader) (int64, error) {
	return readFrom(f.writer, &countedReader{f, r})
}

// countedReader counts the bytes that are read into a fill, before the fill gets them.
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

// count counts n bytes that will be appended next.
func (f *Fill) count(n int) {
	if !f.tracker.add(int64(n)) && f.reason == "" {
		f.refuse(ResponseTooLarge)
	}
}

// refuse ends the storing. Those who read the body get the rest of it.
func (f *Fill) refuse(reason NoCacheReason) {
	f.writer.Unlink()
	f.giveUp(reason)
}

// giveUp releases the waiters and tells the predictor why nothing will be stored.
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

// supersede removes the entry that was found before the origin sent this response, because this
// response is more recent even if it is not stored (RFC 9111 §4). What others have stored since
// stays. Writes of responses that were asked for earlier will not be stored.
func (f *Fill) supersede() {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	f.state.inFlight.outrun(&f.key, arrival{meta: f.meta, own: &f.pending})
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
		// An invalidation would void what others are writing.
		_ = f.opts.drop(ctx, key, PurgeEviction)
	}
}

// Finish ends a body that is complete. It returns
//
//   - nil if the response is stored now, or if Finish or Abort was called before,
//   - ErrUnlinked if it was too large, there was no room, or NoCacheReason gives another reason,
//   - ErrNotFound if a purge voided it or its vary record, or if a more recent response was stored
//     meanwhile (ErrSuperseded),
//   - else the Storage's error, or that of the context.
//
// Except in the last case, readers see the clean end of the body.
func (f *Fill) Finish() error {
	if f.ended {
		return nil
	}
	err := f.store() // if it panics, Abort can still be called
	f.ended = true
	defer f.release(StorageError) // does nothing, unless the Storage panics now
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

// store ends the write, and enters the new entry in the vary record and the eviction manager.
func (f *Fill) store() error {
	done, err := f.finishWrite()
	switch {
	case errors.Is(err, ErrUnlinked) && errors.Is(f.err, ErrPurged):
		return ErrNotFound // the same as if the purge had voided the write before the vary record
	case errors.Is(err, ErrUnlinked) && superseded(f.err):
		return f.err
	case err != nil:
		return err
	}
	if !f.streams {
		if err := f.enterVariant(f.ctx, f.meta); err != nil {
			_ = f.opts.drop(f.ctx, f.key, PurgeInvalidation) // nobody would find the variant
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

// finishWrite makes the write an entry, unless a more recent response or a purge came first.
func (f *Fill) finishWrite() (MissFinish, error) {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return MissFinish{}, err
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	if f.reason == "" {
		late, outrunByWrite := f.state.inFlight.tooLate(&f.pending)
		switch {
		case late || outrunByWrite:
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
		f.state.inFlight.outrun(&f.key, arrival{meta: f.meta, tag: f.Tag(), own: &f.pending})
	}
	return done, err
}

// dropOlder removes an entry that is older than f. It is called when f is not stored because a more
// recent write is under way: if that write fails too, the older entry must not remain. It is called
// with the slots locked.
func (f *Fill) dropOlder() {
	found, hit, err := f.opts.Storage.Lookup(f.trace.in(f.ctx), f.key)
	if err != nil {
		return
	}
	defer hit.Close()
	if underWay(hit) || !moreRecent(found, f.meta, time.Now()) {
		_ = f.opts.drop(f.ctx, f.key, PurgeEviction)
	}
}

// Abort ends a body that is not complete: nothing is stored, readers get an error, and the write
// permit is released with the status that suits reason.
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

// noRoom releases the waiters because there is no room for the response now. The predictor is not
// told, as there may be room the next time.
func (f *Fill) noRoom() {
	f.reason = ResponseTooLarge
	f.release(ResponseTooLarge)
}

// release releases the write permit. The empty reason means that the response is in the Storage.
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

// leave aborts the write, unless it has ended, and takes it off the writes in flight.
func (f *Fill) leave() {
	defer f.state.inFlight.leave(f.key, &f.pending)
	if f.writer != nil {
		f.writer.Abort()
	}
}

// Awaited reports whether requests wait for the end of the fill. Requests that read along do not
// count. It may be called from any goroutine.
func (f *Fill) Awaited() bool {
	permit := f.permit.Load()
	return permit != nil && permit.awaited()
}

// Yield says that the fill will not be finished because its context was cancelled. Another request
// gets the write permit at once, however long the writer needs to notice. It may be called from any
// goroutine. Abort must still be called.
func (f *Fill) Yield() { f.release(Deferred) }
