package cirque

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Purge removes the response of the key and all its variants, and voids the writes under way. No
// response that was fetched before the purge is served after it. It returns ErrNotFound if nothing
// was stored.
func (c *HttpCache) Purge(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.purge(ctx, c.trace, c.key)
}

// PurgeInBackground starts Purge and does not wait for it. The purge goes on when ctx ends. report,
// if not nil, is called with the result.
func (c *HttpCache) PurgeInBackground(ctx context.Context, report func(error)) {
	c.require(opPurgeInBackground)
	opts, trace, key := c.opts, c.trace, c.key
	go func() {
		err := errors.New("cirque: a purge panicked") // replaced if it returns
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", err, p)
			}
			if report != nil {
				report(err)
			}
		}()
		err = opts.purge(context.WithoutCancel(ctx), trace, key)
	}()
}

// Purge removes the response of key and all its variants, and voids the writes under way. It
// returns ErrNotFound if nothing was stored. It may be called from any goroutine. The trace in ctx
// is told of it.
//
// A write to the key may be starting: its fill has started, but the Storage has not opened it yet.
// Purge waits until the Storage has. If ctx ends first, or that takes more than five seconds, the
// purge is done all the same, but Purge returns an error: such a write will not be stored, but
// other requests may read it until the fill finds out. Responses that are fetched for the key
// during a purge are not stored.
func (o *CacheOptions) Purge(ctx context.Context, key CacheKey) error {
	return o.purge(ctx, ContextCacheTrace(ctx), key)
}

func (o *CacheOptions) purge(ctx context.Context, trace *CacheTrace, key CacheKey) error {
	start := time.Now()
	key = key.WithVariance(HashBinary{})
	err := o.dropAll(ctx, key)
	trace.purged(key, time.Since(start), err)
	return err
}

// dropAll is Purge for the key of a primary slot.
func (o *CacheOptions) dropAll(ctx context.Context, key CacheKey) error {
	// First the log: from here on no fill can begin with a response that was fetched before.
	state := o.Storage.Purges()
	log := state.log()
	log.begin(key.PrimaryHash())
	defer log.end(key.PrimaryHash())
	variances, unsettled := state.inFlight.settle(ctx, key)
	variants, _ := o.variants(ctx, key) // after an error, the variants are out of reach without their record
	for _, v := range variants {
		variances = append(variances, v.Hash)
	}
	err := o.drop(ctx, key, PurgeInvalidation)
	for _, variance := range variances {
		if variance.IsZero() {
			continue
		}
		if failed := o.drop(ctx, key.WithVariance(variance), PurgeInvalidation); failed != nil && !errors.Is(failed, ErrNotFound) {
			err = failed
		}
	}
	if unsettled != nil {
		return unsettled
	}
	return err
}

// variants returns the variants in the vary record of key's primary slot; none if there is no
// record.
func (o *CacheOptions) variants(ctx context.Context, key CacheKey) ([]Variant, error) {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return nil, err
	}
	defer hit.Close()
	record, ok := meta.VaryRecord()
	if !ok {
		return nil, nil
	}
	return record.Variants, nil
}

// MarkStale makes the response of key and all its variants stale at now, so that they are validated
// before they are used again. This is a soft purge: the origin need not send everything again.
// Writes under way are voided, and the entries that they would have replaced are removed. It
// returns ErrNotFound if nothing was stored. For writes that are just starting, and for responses
// that are fetched meanwhile, see Purge. After any other error some variants may be unchanged.
//
// INVARIANT: after MarkStale, no response that was fetched or validated before it is served as
// fresh.
func (o *CacheOptions) MarkStale(ctx context.Context, key CacheKey, now time.Time) error {
	key = key.WithVariance(HashBinary{})
	state := o.Storage.Purges()
	log := state.log()
	log.begin(key.PrimaryHash())
	defer log.end(key.PrimaryHash())
	found, failed := false, error(nil)
	collect := func(err error) {
		switch {
		case err == nil:
			found = true
		case !errors.Is(err, ErrNotFound):
			failed = err
		}
	}
	variances, unsettled := state.inFlight.settle(ctx, key)
	variants, err := o.variants(ctx, key)
	for _, variance := range variances {
		collect(o.drop(ctx, key.WithVariance(variance), PurgeInvalidation))
	}
	switch {
	case err != nil:
		collect(err)
	case variants == nil:
		collect(o.markSlotStale(ctx, key, now))
	}
	for _, v := range variants {
		collect(o.markSlotStale(ctx, key.WithVariance(v.Hash), now))
	}
	switch {
	case unsettled != nil:
		return unsettled
	case failed != nil:
		return failed
	case !found:
		return ErrNotFound
	}
	return nil
}

// WatchPurges returns a function that counts the purges of key since this call, those under way
// included. If too many keys were purged to remember them all, the count is a large number. A
// response that was asked for before a purge must not be stored after it, unless that purge is the
// effect of the response itself.
func (o *CacheOptions) WatchPurges(key CacheKey) (purges func() int) {
	state := o.Storage.Purges()
	mark := state.mark(key.PrimaryHash())
	return func() int { return state.countSince(key.PrimaryHash(), mark) }
}

func (o *CacheOptions) markSlotStale(ctx context.Context, key CacheKey, now time.Time) error {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return err
	}
	defer hit.Close()
	if o.Storage.Purges().Voids(meta) {
		return ErrNotFound
	}
	if !meta.IsFresh(now) {
		return nil
	}
	stale := meta.Clone()
	stale.freshUntil = now.UnixNano()
	return o.Storage.UpdateMeta(ctx, key, stale, hit.Tag())
}
