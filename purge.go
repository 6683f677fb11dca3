package cirque

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Purge removes the response of the key, all of its variants, and voids what is on its way into the
// Storage: what was fetched before the purge is not served after it. It returns ErrNotFound if
// nothing was stored.
func (c *HttpCache) Purge(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.purge(ctx, c.trace, c.key)
}

// PurgeInBackground starts Purge and does not wait for it, nor does it end with ctx. report, if not
// nil, is called with the result.
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

// Purge removes the response of key and all of its variants, and voids what is on its way into the
// Storage. It returns ErrNotFound if nothing was stored. It may be called from any goroutine. The
// trace that ctx has sees it.
//
// Writes to the key that are just beginning are waited for. Where ctx ends first, or that takes
// more than five seconds, they are void as well, but while they begin another request may see what
// they bring: the purge is done, and the error says so. What is fetched for the key during a purge
// is not stored.
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

// dropAll is Purge of the primary slot's key.
func (o *CacheOptions) dropAll(ctx context.Context, key CacheKey) error {
	// First the log: from here on no fill can start with what was fetched before.
	state := o.Storage.Purges()
	log := state.log()
	log.begin(key.PrimaryHash())
	defer log.end(key.PrimaryHash())
	variances, late := state.inFlight.settle(ctx, key)
	variants, _ := o.variants(ctx, key) // those that are not known are out of reach all the same, without their record
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
	if late != nil {
		return late
	}
	return err
}

// variants returns the variants that the vary record in key's primary slot lists; none where there
// is no record.
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

// MarkStale makes the response of key and all of its variants stale at now, so that they are
// validated before they are used again: a soft purge, which spares the origin from sending
// everything anew. What is on its way into the Storage is voided, with what it was to replace. It
// returns ErrNotFound if nothing was stored. For writes that are just beginning, and for what is
// fetched meanwhile, see Purge; after any other error a part of it may be as it was.
//
// INVARIANT: nobody who asks after MarkStale gets, as fresh, what was fetched or validated before
// it.
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
	underWay, late := state.inFlight.settle(ctx, key)
	variants, err := o.variants(ctx, key)
	for _, variance := range underWay {
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
	case late != nil:
		return late
	case failed != nil:
		return failed
	case !found:
		return ErrNotFound
	}
	return nil
}

// WatchPurges returns a function that counts the purges of key since, those under way included.
// Where there were too many purges of all keys to remember, it is a large number. What was asked
// for before a purge must not be stored after it, unless that is the answer's own.
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

// PurgeEpoch returns the epoch of the Storage: see [HttpCache.SetPurgeEpoch].
func (o *CacheOptions) PurgeEpoch() PurgeEpoch { return o.Storage.Purges().Epoch() }

// PurgeAll voids everything in the Storage, whatever its namespace, and every fetch under way. What
// was asked for before is not served after it, by any Cache on the Storage. An error says that the
// Storage did not keep the purge.
func (o *CacheOptions) PurgeAll(ctx context.Context) error { return o.Storage.Purges().PurgeAll(ctx) }

// PurgeGroups does the same for the responses that are in groups of origin with these names (RFC
// 9875 §2).
func (o *CacheOptions) PurgeGroups(ctx context.Context, origin string, names ...string) error {
	hashes := make([]HashBinary, len(names))
	for i, name := range names {
		hashes[i] = GroupHash(origin, name)
	}
	return o.Storage.Purges().PurgeGroups(ctx, hashes...)
}
