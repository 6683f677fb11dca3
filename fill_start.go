package cirque

import (
	"context"
	"errors"
	"time"
)

// SetMeta sets the meta of the response that is about to be stored: a miss being filled, or a stale
// entry being replaced (the phase becomes Expired). meta must not change afterwards, UpdateVariance
// excepted.
func (c *HttpCache) SetMeta(meta *CacheMeta) {
	to := PhaseMiss
	if c.phase == PhaseStale || c.phase == PhaseExpired {
		to = PhaseExpired
	}
	c.transition(opSetMeta, to)
	_ = c.closeHit()
	c.meta = meta
}

// FillOptions are facts about one fill.
type FillOptions struct {
	// Reader is the context of the request that reads the body while it is written; it lives as
	// long as that reading. Nil: nobody reads.
	Reader context.Context
	// SizeHint is the body's expected length in bytes; negative where it is unknown.
	SizeHint int64
	// Cost is what it took to get the response, for eviction policies that weigh it.
	Cost time.Duration
	// LastTurn says that the request got its turn because the fill before failed. If this one fails
	// too, those who wait are let go: each further turn could take as long.
	LastTurn bool
	// Unshared says that those who wait may not share the response, because it must be validated
	// before each use (see rules.Shareable). They are let go at once: with LockDone where they find
	// its validators in the Storage, else with LockGiveUp. The predictor hears nothing of a fill
	// that ends well.
	Unshared bool
	// Replaces, if not zero, is the tag of the entry that the fill is built upon; if that is gone
	// at the end, nothing is stored.
	Replaces Tag
}

// StartFill begins to store the response whose meta was set. The *Fill owns the write permit and
// outlives the request; Hit returns the reader of its body, if FillOptions asked for one. Those who
// wait for the lock are let go as soon as they can read along, else when the fill ends.
//
// Where a more recent response is stored already, or can be read on its way there, this one is not
// stored (RFC 9111 §4): its readers get it all the same, and Fill.Err is ErrSuperseded.
//
// ctx covers the whole fill. After an error the caller still has the permit, and the response has
// to go out uncached.
func (c *HttpCache) StartFill(ctx context.Context, opts FillOptions) (*Fill, error) {
	c.require(opStartFill)
	epoch := c.purges.asked
	if opts.Replaces != 0 {
		epoch = min(epoch, c.purges.epoch) // as old as what it is built upon
	}
	if c.meta.PurgeEpoch() != epoch {
		c.meta = c.meta.Clone()
		c.meta.SetPurgeEpoch(epoch)
	}
	f := &Fill{
		slot: c.slot, ctx: ctx, meta: c.meta, lockKey: c.lockKey, predictionKey: c.predictionKey(),
		tracker: sizeTracker{max: c.tracker.max}, cost: opts.Cost, lastTurn: opts.LastTurn, unshared: opts.Unshared,
		started: time.Now(),
	}
	if opts.Replaces == 0 {
		f.older = c.found
	}
	f.pending.meta = f.meta
	f.state.inFlight.enter(f.key, &f.pending)
	begun := false
	defer func() {
		if !begun { // it was purged, or the Storage failed or panicked
			f.ended = true
			defer f.release(InternalError)
			f.leave()
		}
	}()
	if f.purged(f.meta) {
		return nil, ErrPurged
	}
	_ = c.closeHit()
	reader, err := f.open(opts)
	if err != nil {
		return nil, err
	}
	c.hit = reader
	permit, _ := c.TakeWriteLock()
	f.permit.Store(permit)
	f.trace.fillStart(f.key, f.meta)
	// From here on the write is not aborted for what stands against it: others may have found it
	// too.
	switch {
	case superseded(f.err):
		f.refuse(Deferred)
	case errors.Is(f.err, ErrUnlinked):
		f.noRoom()
	case f.pending.void:
		f.err = ErrPurged
		f.refuse(Deferred)
	case f.tracker.exceeds(opts.SizeHint):
		f.refuse(ResponseTooLarge)
	case f.streams:
		f.publish()
	case f.unshared:
		f.release(OriginNotCache)
	}
	begun = true
	return f, nil
}

// publish has others find a write that streams: those who look for a variant, and those who wait.
func (f *Fill) publish() {
	f.err = f.enterVariant(f.ctx, f.meta)
	switch {
	case f.err == nil:
		f.release("")
	case errors.Is(f.err, ErrPurged), superseded(f.err):
		f.refuse(Deferred)
	case errors.Is(f.err, ErrUnlinked):
		f.writer.Unlink()
		f.noRoom()
	default:
		f.refuse(StorageError)
	}
}

// open begins the write. With f.err set, to ErrSuperseded or ErrUnlinked, it leads nowhere. The
// reader is nil where nobody wants one.
//
// INVARIANT: what Lookup finds in a slot, entry or write under way, is the most recent response
// that there is for it. So a fill compares itself with that before it begins, and with what has
// come since before it becomes an entry.
func (f *Fill) open(opts FillOptions) (reader HitHandler, err error) {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return nil, err
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	if f.outdated() {
		f.err = ErrSuperseded
		return f.openNowhere(opts)
	}
	handler, err := f.opts.Storage.MissHandler(f.trace.in(f.ctx), f.key, f.meta, MissOptions{
		SizeHint: opts.SizeHint, Replaces: opts.Replaces,
	})
	if errors.Is(err, ErrUnlinked) {
		f.err = err
		return f.openNowhere(opts)
	}
	if err != nil {
		return nil, err
	}
	f.state.inFlight.begun(&f.pending, handler.Tag())
	if f.writer, f.streams = f.opts.asStreaming(f.ctx, handler); f.streams {
		f.state.inFlight.outrun(&f.key, f.meta, f.Tag(), &f.pending, true)
	}
	if opts.Reader == nil {
		return nil, nil
	}
	return f.writer.NewReader(opts.Reader)
}

// openNowhere begins a write of which the Storage gets nothing: the body is for its reader alone.
func (f *Fill) openNowhere(opts FillOptions) (reader HitHandler, err error) {
	nowhere := f.opts.nowhere(f.ctx)
	f.writer = nowhere
	f.state.inFlight.begun(&f.pending, 0)
	if opts.Reader != nil {
		reader, err = f.writer.NewReader(opts.Reader)
	}
	nowhere.body.Unlink()
	return reader, err
}

// outdated reports whether what is in the slot is more recent.
func (f *Fill) outdated() bool {
	if f.newerThan(f.meta, f.state.inFlight.outranks(&f.key)) {
		return true
	}
	found, hit, err := f.opts.Storage.Lookup(f.trace.in(f.ctx), f.key)
	if err != nil {
		return false
	}
	defer hit.Close()
	return f.newerThan(f.meta, found)
}
