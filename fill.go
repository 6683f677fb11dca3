package cirque

import (
	"context"
	"errors"
	"net/http"
	"slices"
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

// UpdateVariance says which request fields the response to be stored varies by (its Vary, canonical and sorted; none where it
// doesn't vary) and with what request header it was fetched; extra, if not nil, adds the caller's own
// dimensions. The key becomes the variant's. If
// the resource's vary record names the same fields it is kept, and with it the other
// variants; otherwise the fill starts a new one, which voids them.
func (c *HttpCache) UpdateVariance(fields []string, header http.Header, extra func(*VarianceBuilder)) {
	c.require(opUpdateVariance)
	var variance HashBinary
	if len(fields) == 0 && !addsVariance(extra) {
		c.record, c.newRecord = nil, false
	} else {
		if c.record == nil || !slices.Equal(c.record.Fields, fields) {
			c.record, c.newRecord = NewVaryRecord(fields), true
		}
		variance = c.record.variance(header, extra)
	}
	c.key = c.key.WithVariance(variance)
	c.meta = c.meta.Clone()
	c.meta.SetVariance(variance)
}

// FillOptions are facts about one fill.
type FillOptions struct {
	// Reader is the context of the request that reads the body while it is written; it lives as long
	// as that reading. Nil: nobody reads.
	Reader context.Context
	// SizeHint is the body's expected length in bytes; negative where it is unknown.
	SizeHint int64
	// Cost is what it took to get the response, for eviction policies that weigh it.
	Cost time.Duration
	// Replaces, if not zero, is the tag of the entry that the fill is built upon; if that is gone
	// at the end, nothing is stored.
	Replaces Tag
}

// ErrPurged says that the key was purged while its response was being fetched: it must not be stored.
var ErrPurged = errors.New("cirque: purged while being fetched")

// StartFill begins to store the response whose meta was set. The *Fill owns the write permit and
// outlives the request; Hit returns the reader of its body, if FillOptions asked for one. Those who
// wait for the lock are let go as soon as they can read along, else when the fill ends.
//
// ctx covers the whole fill. After an error the caller still has the permit, and the response has to go out
// uncached.
func (c *HttpCache) StartFill(ctx context.Context, opts FillOptions) (*Fill, error) {
	c.require(opStartFill)
	if c.purgedSince() {
		return nil, ErrPurged
	}
	handler, err := c.opts.Storage.MissHandler(ctx, c.key, c.meta, MissOptions{
		SizeHint: opts.SizeHint, Replaces: opts.Replaces,
	})
	if err != nil {
		return nil, err
	}
	writer, streams := c.opts.asStreaming(handler)
	// INVARIANT: a purge that this check does not see comes after the MissHandler was opened, and so voids it.
	if c.purgedSince() {
		writer.Abort()
		return nil, ErrPurged
	}
	if opts.Reader != nil {
		if c.hit, err = writer.NewReader(opts.Reader); err != nil {
			writer.Abort()
			return nil, err
		}
	}
	f := &Fill{
		ctx: ctx, opts: c.opts, trace: c.trace, key: c.key, lockKey: c.lockKey, predictionKey: c.predictionKey(), meta: c.meta,
		writer: writer, cost: opts.Cost, tracker: SizeTracker{Max: c.tracker.Max},
		record: c.record, newRecord: c.newRecord,
		purgesSeen: c.purgesSeen, started: time.Now(),
	}
	f.permit, _ = c.TakeWriteLock()
	f.trace.fillStart(f.key, f.meta)
	if streams {
		f.publishRecord()
		f.release("")
	}
	return f, nil
}

// Fill is one response on its way into the Storage. It owns the write permit, the MissHandler and the
// size tracker, and tells the predictor how it ended. It outlives the request that began it: its end is
// Finish or Abort, one of which must be called; Abort after either does nothing.
//
// One goroutine at a time writes and ends it. Readers and Key may be called from others.
type Fill struct {
	ctx     context.Context
	opts    *CacheOptions
	trace   *CacheTrace
	key     CacheKey
	lockKey CacheKey

	predictionKey CacheKey

	meta    *CacheMeta
	writer  StreamingMissHandler
	permit  *WritePermit
	tracker SizeTracker
	cost    time.Duration
	started time.Time

	record     *VaryRecord
	newRecord  bool
	purgesSeen uint32

	reason NoCacheReason // why nothing will be stored, once that is known
	ended  bool
}

// Key returns the key that is being filled.
func (f *Fill) Key() CacheKey { return f.key }

// Meta returns the meta that is being stored.
func (f *Fill) Meta() *CacheMeta { return f.meta }

// Tag returns the tag that the entry will have.
func (f *Fill) Tag() Tag { return f.writer.Tag() }

// Readers returns how many readers are attached to the body.
func (f *Fill) Readers() int { return f.writer.Readers() }

// Written returns the bytes of the body so far.
func (f *Fill) Written() int64 { return f.tracker.Seen() }

// NoCacheReason returns why nothing will be, or was, stored; empty as long as nothing stands against it.
func (f *Fill) NoCacheReason() NoCacheReason { return f.reason }

// Write appends to the body. A body that passes the maximum size is not stored, but its readers get all
// of it. Any error means that nobody needs the rest: abort.
func (f *Fill) Write(p []byte) (int, error) {
	if !f.tracker.Add(int64(len(p))) && f.reason == "" {
		f.writer.Unlink()
		f.refuse(ResponseTooLarge)
	}
	return f.writer.Write(p)
}

// refuse notes that the body goes on for its readers alone, and lets those go who wait to have it from the store.
func (f *Fill) refuse(reason NoCacheReason) {
	f.reason = reason
	if f.opts.Predictor != nil {
		f.opts.Predictor.MarkUncacheable(f.predictionKey, reason)
	}
	f.release(reason)
}

// Finish ends a body that is complete. It returns nil if the response is stored now, ErrUnlinked if it was too large or
// there was no room, ErrNotFound if a purge voided it, or the Storage's error. Readers see the
// body's clean end in the first three.
func (f *Fill) Finish() error {
	if f.ended {
		return nil
	}
	f.ended = true
	done, err := f.writer.Finish()
	switch {
	case err == nil:
		f.stored(done)
		if f.opts.Predictor != nil {
			f.opts.Predictor.MarkCacheable(f.predictionKey)
		}
	case errors.Is(err, ErrUnlinked):
		if f.reason == "" {
			f.refuse(ResponseTooLarge)
		}
	case errors.Is(err, ErrNotFound):
		f.reason = Deferred
	default:
		f.reason = StorageError
	}
	f.release(f.reason)
	f.trace.fillDone(f.key, f.meta, f.tracker.Seen(), time.Since(f.started), f.reason, err)
	return err
}

// Abort ends a body that is not complete: nothing is stored, readers get an error, and another request may
// take its turn.
func (f *Fill) Abort(reason NoCacheReason) {
	if f.ended {
		return
	}
	f.ended = true
	f.writer.Abort()
	if f.reason == "" {
		f.reason = reason
	}
	f.release(reason)
	f.trace.fillDone(f.key, f.meta, f.tracker.Seen(), time.Since(f.started), f.reason, ErrAborted)
}

// stored does the accounting for a write that became an entry.
func (f *Fill) stored(done MissFinish) {
	if manager := f.opts.Eviction; manager != nil {
		var evicted []CompactCacheKey
		if done.Appended {
			evicted = manager.IncrementWeight(f.key.Compact(), done.Size, done.Max)
		} else {
			evicted = manager.Admit(f.key.Compact(), done.Size, f.meta.FreshUntil(), f.cost)
		}
		f.opts.evict(f.ctx, f.trace, evicted)
	}
	f.publishRecord()
	f.registerVariant()
}

// release gives up the write permit; the empty reason says that the response can be had from the Storage.
func (f *Fill) release(reason NoCacheReason) {
	permit := f.permit
	f.permit = nil
	if permit != nil {
		f.opts.Lock.Release(f.lockKey, permit, f.opts.lockStatus(reason))
	}
}

// evict drops what the eviction manager gave up.
func (o *CacheOptions) evict(ctx context.Context, trace *CacheTrace, keys []CompactCacheKey) {
	for _, key := range keys {
		err := o.Storage.Purge(context.WithoutCancel(ctx), key, PurgeEviction)
		trace.evicted(key, err)
	}
}
