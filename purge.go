package cirque

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Purge removes the response of the key, all of its variants, and voids what is on its way into the Storage:
// what was fetched before the purge is not served after it. It returns ErrNotFound if nothing was stored.
func (c *HttpCache) Purge(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.purge(ctx, c.trace, c.key)
}

// PurgeInBackground starts Purge and does not wait for it, nor does it end with ctx. report, if not nil, is
// called with the result.
func (c *HttpCache) PurgeInBackground(ctx context.Context, report func(error)) {
	c.require(opPurgeInBackground)
	opts, trace, key := c.opts, c.trace, c.key
	go func() {
		err := errors.New("cirque: panic in a purge") // unless it is replaced
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

// Purge removes the response of key and all of its variants, and voids what is on its way into the Storage.
// It returns ErrNotFound if nothing was stored. It may be called from any goroutine. The trace that ctx has
// sees it.
//
// A write to the key that is just beginning is waited for. Where ctx ends first, everything else is purged, and the error
// is ctx's: what that write stores may have been fetched before.
func (o *CacheOptions) Purge(ctx context.Context, key CacheKey) error {
	return o.purge(ctx, ContextCacheTrace(ctx), key)
}

func (o *CacheOptions) purge(ctx context.Context, trace *CacheTrace, key CacheKey) error {
	start := time.Now()
	key = key.WithVariance(HashBinary{})
	// First the log: from here on no fill can start with what was fetched before.
	o.purges.note(key)
	variances, late := o.inFlight.settle(ctx, key)
	for _, v := range o.variants(ctx, key) {
		variances = append(variances, v.Hash)
	}
	err := o.drop(ctx, key, PurgeInvalidation)
	// The variants are out of reach now, but a fill that began meanwhile may bring the record back.
	for _, variance := range variances {
		if variance == (HashBinary{}) {
			continue
		}
		if failed := o.drop(ctx, key.WithVariance(variance), PurgeInvalidation); failed != nil && !errors.Is(failed, ErrNotFound) {
			err = failed
		}
	}
	if late != nil {
		err = late
	}
	trace.purged(key, time.Since(start), err)
	return err
}

// variants returns the variants that the vary record in key's primary slot lists.
func (o *CacheOptions) variants(ctx context.Context, key CacheKey) []Variant {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return nil
	}
	defer hit.Close()
	if record, ok := meta.VaryRecord(); ok {
		return record.Variants
	}
	return nil
}

// drop removes what is in key's slot; with an invalidation it voids what is on its way there, too.
func (o *CacheOptions) drop(ctx context.Context, key CacheKey, typ PurgeType) error {
	if o.Eviction != nil {
		o.Eviction.Remove(key.Compact())
	}
	return o.Storage.Purge(context.WithoutCancel(ctx), key.Compact(), typ)
}

// MarkStale makes the response of key and all of its variants stale at now, so that they are validated before
// they are used again: a soft purge, which spares the origin from sending everything anew. What is on its way
// into the Storage is voided, with what it was to replace. It returns ErrNotFound if nothing was stored.
//
// INVARIANT: nobody who asks after MarkStale gets, as fresh, what was fetched or validated before it.
func (o *CacheOptions) MarkStale(ctx context.Context, key CacheKey, now time.Time) error {
	key = key.WithVariance(HashBinary{})
	o.purges.note(key)
	found, failed := false, error(nil)
	collect := func(err error) {
		switch {
		case err == nil:
			found = true
		case !errors.Is(err, ErrNotFound):
			failed = err
		}
	}
	underWay, late := o.inFlight.settle(ctx, key)
	if late != nil {
		failed = late
	}
	for _, variance := range underWay {
		collect(o.drop(ctx, key.WithVariance(variance), PurgeInvalidation))
	}
	if variants := o.variants(ctx, key); variants == nil {
		collect(o.markSlotStale(ctx, key, now))
	} else {
		for _, v := range variants {
			collect(o.markSlotStale(ctx, key.WithVariance(v.Hash), now))
		}
	}
	switch {
	case failed != nil:
		return failed
	case !found:
		return ErrNotFound
	}
	return nil
}

func (o *CacheOptions) markSlotStale(ctx context.Context, key CacheKey, now time.Time) error {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return err
	}
	defer hit.Close()
	if !meta.IsFresh(now) {
		return nil
	}
	stale := meta.Clone()
	stale.SetFreshUntil(now)
	return o.Storage.UpdateMeta(ctx, key, stale, hit.Tag())
}
