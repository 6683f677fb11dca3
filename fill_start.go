package cirque

import (
	"context"
	"errors"
	"time"
)

// SetMeta sets the meta of the response that will be stored. The phase becomes Expired if the
// response replaces a stale entry, else Miss. meta must not be changed afterwards.
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
	// MissOptions go to the Storage.
	MissOptions
	// Reader is the context of the request that reads the body while it is written. It lives until
	// the reading ends. Nil: nobody reads.
	Reader context.Context
	// Cost is the time that it took to get the response, for eviction policies that use it.
	Cost time.Duration
	// LastTurn says that the request got the write permit because the fill before it failed. If
	// this fill fails too, all waiters are released, because each further attempt could take as
	// long. A failure before StartFill is the caller's to report: with OriginNotCache, as package
	// middleware does, it releases all of them too.
	LastTurn bool
	// Unshared says that the waiters may not share the response, because it must be validated
	// before each use (see rules.Shareable). They are released at once: with LockDone if they find
	// its validators in the Storage, else with LockGiveUp. The predictor is not told of a fill that
	// succeeds.
	Unshared bool
}

// StartFill begins to store the response whose meta SetMeta has set. Meta then returns the meta
// that is being stored. The *Fill owns the write permit and outlives the request. If FillOptions
// has a Reader, Hit returns the reader of the body. The waiters are released as soon as they can
// read along, else when the fill ends.
//
// If a more recent response is stored, or can be read while it is written, this one is not stored
// (RFC 9111 §4). Its readers still get it, and Fill.Err is ErrSuperseded.
//
// ctx covers the whole fill. After an error the caller still has the permit, and must send the
// response uncached.
func (c *HttpCache) StartFill(ctx context.Context, opts FillOptions) (*Fill, error) {
	c.require(opStartFill)
	epoch := c.purges.askedEpoch
	if opts.Replaces != 0 {
		epoch = min(epoch, c.purges.epoch) // as old as the entry that it is based on
	}
	if c.meta.PurgeEpoch() != epoch {
		c.meta = c.meta.Clone()
		c.meta.SetPurgeEpoch(epoch)
	}
	f := &Fill{
		slot: c.slot, ctx: ctx, meta: c.meta, lockKey: c.lockKey, predictionKey: c.PredictionKey(),
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
		if !begun { // the key was purged, or the Storage failed or panicked
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
	// From here on the write is unlinked instead of aborted, because others may read it.
	switch {
	case superseded(f.err):
		f.refuse(Deferred)
	case errors.Is(f.err, ErrUnlinked):
		f.noRoom()
	case f.pending.void:
		f.err = ErrPurged
		f.refuse(Deferred)
	case f.tracker.exceeds(opts.SizeHint): // unless the caller has checked that, as package middleware does
		f.refuse(ResponseTooLarge)
	case f.streams:
		f.publish()
	case f.unshared:
		f.release(OriginNotCache)
	}
	begun = true
	return f, nil
}

// publish lets other requests find a write that streams: it enters the variant in the vary record
// and releases the waiters.
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

// open begins the write. If it sets f.err to ErrSuperseded or ErrUnlinked, nothing is stored. The
// reader is nil if opts has no Reader.
//
// INVARIANT: Lookup finds the most recent response of a slot, entry or write under way. So a fill
// compares itself with that response before it begins. Before it becomes an entry, it compares
// itself with the responses that have come since.
func (f *Fill) open(opts FillOptions) (reader HitHandler, err error) {
	if err := f.state.inFlight.lock(f.ctx, f.key.primaryHash); err != nil {
		return nil, err
	}
	defer f.state.inFlight.unlock(f.key.primaryHash)
	if f.outdated() {
		f.err = ErrSuperseded
		return f.openNowhere(opts)
	}
	handler, err := f.opts.Storage.MissHandler(f.trace.in(f.ctx), f.key, f.meta, opts.MissOptions)
	if errors.Is(err, ErrUnlinked) {
		f.err = err
		return f.openNowhere(opts)
	}
	if err != nil {
		return nil, err
	}
	f.state.inFlight.begun(&f.pending, handler.Tag())
	if f.writer, f.streams = f.opts.asStreaming(f.ctx, handler); f.streams {
		f.state.inFlight.outrun(&f.key, arrival{meta: f.meta, tag: f.Tag(), own: &f.pending, linked: true})
	}
	if opts.Reader == nil {
		return nil, nil
	}
	return f.writer.NewReader(opts.Reader)
}

// openNowhere begins a write that is not stored: only its reader gets the body.
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

// outdated reports whether a more recent response is in the slot.
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
