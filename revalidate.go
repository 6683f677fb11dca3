package cirque

import (
	"context"
	"errors"
	"time"
)

// Revalidate says that the stale entry was validated (RFC 9111 §4.3.3): fresh is its meta, freshened by the origin's answer. It is
// written to the Storage, and the entry is served. ErrNotFound means that the entry was purged or replaced meanwhile:
// it may still be served to this request, which asked before. The write permit is released either way.
func (c *HttpCache) Revalidate(ctx context.Context, fresh *CacheMeta) error {
	c.transition(opRevalidate, PhaseRevalidated)
	fresh.SetVariance(c.key.Variance())
	old := c.meta
	c.meta = fresh
	err := ErrPurged
	if !c.purgedSince() {
		err = c.opts.Storage.UpdateMeta(ctx, c.key, fresh, c.tag)
	}
	switch {
	case err == nil:
		if c.opts.Eviction != nil {
			grown := int64(fresh.MetaSize() - old.MetaSize())
			c.opts.evict(ctx, c.trace, c.opts.Eviction.IncrementWeight(c.key.Compact(), grown, 0))
		}
		c.registerFreshened(ctx, fresh)
		c.ReleaseWriteLock("")
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrPurged):
		err = ErrNotFound
		c.ReleaseWriteLock(Deferred)
	default:
		c.ReleaseWriteLock(StorageError)
	}
	return err
}

// registerFreshened keeps the vary record's copy of the validators current.
func (c *HttpCache) registerFreshened(ctx context.Context, fresh *CacheMeta) {
	if c.record == nil {
		return
	}
	header := fresh.Header()
	variant, ok := c.record.Lookup(c.key.Variance())
	if ok && variant.ETag == header.Get("Etag") && variant.LastModified == header.Get("Last-Modified") {
		return
	}
	c.opts.changeRecord(ctx, c.key, c.record.Epoch, c.trace, VariantOf(c.key, fresh))
}

// RevalidateUncacheable says that the stale entry was validated by an answer that forbids storing it any longer: it is
// served once more, with the meta given, and removed.
func (c *HttpCache) RevalidateUncacheable(ctx context.Context, fresh *CacheMeta, reason NoCacheReason) error {
	c.transition(opRevalidateUncacheable, PhaseRevalidatedNoCache)
	c.meta, c.reason = fresh, reason
	c.ReleaseWriteLock(reason)
	return c.opts.remove(ctx, c.key.Compact())
}

// Supersede removes the stored entry that an answer replaces which may itself not be stored
// (RFC 9111 §4: the most recent response decides).
func (c *HttpCache) Supersede(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.remove(ctx, c.key.Compact())
}

// Freshen merges an answer that validates the stored response into its meta, by p's rules
// (RFC 9111 §3.2 and §4.3.4). See [Policy.Freshen].
func (c *HttpCache) Freshen(p *Policy, x *Exchange) (*CacheMeta, *Refusal) {
	return p.Freshen(c.meta, x)
}

// remove invalidates one slot.
func (o *CacheOptions) remove(ctx context.Context, key CompactCacheKey) error {
	ctx = context.WithoutCancel(ctx)
	o.purges.of(key.Primary).Add(1)
	if o.Eviction != nil {
		o.Eviction.Remove(key)
	}
	return o.Storage.Purge(ctx, key, PurgeInvalidation)
}

// Purge removes the response of key and all of its variants, and voids what is on its way into the
// Storage. It returns ErrNotFound if there was nothing stored. It may be called from any goroutine.
func (o *CacheOptions) Purge(ctx context.Context, key CacheKey) error {
	key = key.WithVariance(HashBinary{})
	// First the counter: from here on nothing fetched before can be stored.
	o.purges.of(key.PrimaryHash()).Add(1)
	variants := o.variants(ctx, key)
	err := o.remove(ctx, key.Compact())
	// The variants are out of reach already; this gives their room back.
	for _, v := range variants {
		if verr := o.remove(ctx, key.WithVariance(v.Hash).Compact()); verr != nil && !errors.Is(verr, ErrNotFound) {
			err = errors.Join(err, verr)
		}
	}
	return err
}

// MarkStale makes the response of key and all of its variants stale at now, so that they are validated before
// they are used again: a soft purge, which spares the origin from sending everything anew. It returns
// ErrNotFound if there was nothing stored.
func (o *CacheOptions) MarkStale(ctx context.Context, key CacheKey, now time.Time) error {
	key = key.WithVariance(HashBinary{})
	o.purges.of(key.PrimaryHash()).Add(1)
	variants := o.variants(ctx, key)
	if variants == nil {
		return o.markSlotStale(ctx, key, now)
	}
	result := ErrNotFound
	for _, v := range variants {
		if err := o.markSlotStale(ctx, key.WithVariance(v.Hash), now); err == nil {
			result = nil
		} else if !errors.Is(err, ErrNotFound) {
			return err
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
	if !meta.IsFresh(now) {
		return nil
	}
	meta = meta.Clone()
	meta.SetFreshUntil(now)
	return o.Storage.UpdateMeta(ctx, key, meta, hit.Tag())
}

// variants returns the variants in key's vary record; nil where there is none.
func (o *CacheOptions) variants(ctx context.Context, key CacheKey) []Variant {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return nil
	}
	defer hit.Close()
	record, ok := meta.VaryRecord()
	if !ok {
		return nil
	}
	return record.Variants
}
