package cirque

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// purgeCounters count the purges of keys, many keys to a counter. A fetch that sees its counter move was under way
// during a purge, and what it brings must not be stored. A false alarm costs one store.
//
// INVARIANT: a counter moves before the purge reaches the Storage. A fill compares it after its MissHandler is open
// and its variant is in the vary record; from there on the purge finds the fill in the Storage and voids it.
type purgeCounters [1 << 14]atomic.Uint32

func (p *purgeCounters) of(key CacheKey) *atomic.Uint32 {
	primary := key.PrimaryHash()
	return &p[(uint(primary[0])|uint(primary[1])<<8)%uint(len(p))]
}

// Purge removes the response of the key, all of its variants, and voids what is on its way into the Storage: what was
// fetched before the purge is not served after it. It returns ErrNotFound if nothing was stored.
func (c *HttpCache) Purge(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.purge(ctx, c.trace, c.key)
}

// PurgeInBackground starts Purge and does not wait for it, nor does it end with ctx. report, if not nil, is called with
// the result.
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

// Purge removes the response of key and all of its variants, and voids what is on its way into the Storage. It returns
// ErrNotFound if nothing was stored. It may be called from any goroutine. The trace that ctx has sees it.
func (o *CacheOptions) Purge(ctx context.Context, key CacheKey) error {
	return o.purge(ctx, ContextCacheTrace(ctx), key)
}

func (o *CacheOptions) purge(ctx context.Context, trace *CacheTrace, key CacheKey) error {
	start := time.Now()
	key = key.WithVariance(HashBinary{})
	// First the counter: from here on nothing fetched before can be stored.
	o.purges.of(key).Add(1)
	record, _ := o.storedRecord(ctx, key)
	err := o.drop(ctx, key)
	if record != nil {
		// The variants are out of reach already; this gives their room back.
		for _, v := range record.Variants {
			if failed := o.drop(ctx, key.WithVariance(v.Hash)); failed != nil && !errors.Is(failed, ErrNotFound) {
				err = failed
			}
		}
	}
	trace.purged(key, time.Since(start), err)
	return err
}

// drop removes what is in key's slot, and voids what is on its way there.
func (o *CacheOptions) drop(ctx context.Context, key CacheKey) error {
	if o.Eviction != nil {
		o.Eviction.Remove(key.Compact())
	}
	return o.Storage.Purge(context.WithoutCancel(ctx), key.Compact(), PurgeInvalidation)
}

// storedRecord returns the vary record in key's primary slot. Where a response is there, it is nil.
func (o *CacheOptions) storedRecord(ctx context.Context, key CacheKey) (*VaryRecord, error) {
	meta, hit, err := o.Storage.Lookup(ctx, key.WithVariance(HashBinary{}))
	if err != nil {
		return nil, err
	}
	defer hit.Close()
	record, _ := meta.VaryRecord()
	return record, nil
}

// MarkStale makes the response of key and all of its variants stale at now, so that they are validated before they are
// used again: a soft purge, which spares the origin from sending everything anew. What is on its way into the Storage
// arrives there stale, or not at all. It returns ErrNotFound if nothing was stored.
func (o *CacheOptions) MarkStale(ctx context.Context, key CacheKey, now time.Time) error {
	key = key.WithVariance(HashBinary{})
	o.purges.of(key).Add(1)
	record, err := o.storedRecord(ctx, key)
	switch {
	case err != nil:
		return err
	case record == nil:
		return o.markSlotStale(ctx, key, now)
	}
	result := ErrNotFound
	for _, v := range record.Variants {
		switch err := o.markSlotStale(ctx, key.WithVariance(v.Hash), now); {
		case err == nil && result == ErrNotFound:
			result = nil
		case err != nil && !errors.Is(err, ErrNotFound):
			result = err
		}
	}
	return result
}

func (o *CacheOptions) markSlotStale(ctx context.Context, key CacheKey, now time.Time) error {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return err
	}
	defer hit.Close()
	return o.outdate(ctx, key, meta, hit.Tag(), now)
}

// outdate makes the entry with that tag stale at now.
func (o *CacheOptions) outdate(ctx context.Context, key CacheKey, meta *CacheMeta, tag Tag, now time.Time) error {
	if !meta.IsFresh(now) {
		return nil
	}
	stale := meta.Clone()
	stale.SetFreshUntil(now)
	return o.Storage.UpdateMeta(ctx, key, stale, tag)
}

// heedPurges makes stale what has just been stored, if a purge of the key began since it was looked up: MarkStale may
// have come when there was nothing to be found yet.
func (s *slot) heedPurges(ctx context.Context, meta *CacheMeta, tag Tag) {
	if !s.purged() {
		return
	}
	err := s.opts.outdate(context.WithoutCancel(ctx), s.key, meta, tag, time.Now())
	if err != nil && !errors.Is(err, ErrNotFound) {
		_ = s.opts.drop(ctx, s.key)
	}
}
