package cirque

import (
	"context"
	"errors"
)

// Revalidate says that the stale entry was validated (RFC 9111 §4.3.3): fresh is its meta, freshened by the
// origin's answer, and must not change afterwards. It is written to the Storage, and the entry is served.
// ErrNotFound means that the entry was purged or replaced meanwhile: it may still be served to this request,
// which asked before. The write permit is released either way.
func (c *HttpCache) Revalidate(ctx context.Context, fresh *CacheMeta) error {
	c.transition(opRevalidate, PhaseRevalidated)
	fresh.SetVariance(c.key.Variance())
	old := c.meta
	c.meta = fresh
	err := c.freshen(ctx, old, fresh)
	switch {
	case err == nil:
		c.ReleaseWriteLock("")
	case errors.Is(err, ErrNotFound):
		c.ReleaseWriteLock(Deferred)
	default:
		c.ReleaseWriteLock(StorageError)
	}
	return err
}

// freshen writes the new meta to the Storage, unless the key was purged.
func (c *HttpCache) freshen(ctx context.Context, old, fresh *CacheMeta) error {
	var pending pendingWrite
	c.opts.inFlight.enter(c.key, &pending)
	defer c.opts.inFlight.leave(c.key, &pending)
	if c.purged() {
		return ErrNotFound
	}
	c.opts.inFlight.begun(&pending) // what is purged from now on is not there to be updated
	if err := c.opts.updateMeta(ctx, c.trace, c.key, old, fresh, c.found.tag); err != nil {
		return err
	}
	if a, b := VariantOf(c.key, old), VariantOf(c.key, fresh); a != b {
		// The record's copy of the validators. If it can't be kept current, a later validation fails, and no
		// more.
		_ = c.enterVariant(ctx, fresh)
	}
	return nil
}

// updateMeta replaces the meta of the entry with that tag, and accounts for the difference in weight.
func (o *CacheOptions) updateMeta(
	ctx context.Context, trace *CacheTrace, key CacheKey, old, fresh *CacheMeta, tag Tag,
) error {
	if err := o.Storage.UpdateMeta(ctx, key, fresh, tag); err != nil {
		return err
	}
	if grown := int64(fresh.MetaSize() - old.MetaSize()); o.Eviction != nil && grown != 0 {
		o.evict(ctx, trace, o.Eviction.IncrementWeight(key.Compact(), grown, 0))
	}
	return nil
}

// RevalidateUncacheable says that the stale entry was validated by an answer that forbids storing it any
// longer: it is served once more, with the meta given, and removed. Then the write permit is released. With the reason
// Deferred it is this request that forbids it, not the answer, and the entry stays as it was.
func (c *HttpCache) RevalidateUncacheable(ctx context.Context, fresh *CacheMeta, reason NoCacheReason) error {
	c.transition(opRevalidateUncacheable, PhaseRevalidatedNoCache)
	c.meta, c.reason = fresh, reason
	defer c.ReleaseWriteLock(reason)
	if reason == Deferred {
		return nil
	}
	return c.opts.drop(ctx, c.key, PurgeInvalidation)
}

// Supersede removes the stored entry that an answer replaces which may itself not be stored (RFC 9111 §4: the
// most recent response decides). It returns ErrNotFound if there is none any more.
func (c *HttpCache) Supersede(ctx context.Context) error {
	c.require(opSupersede)
	return c.opts.drop(ctx, c.key, PurgeInvalidation)
}

// Freshen merges an answer that validates the stale entry into its meta, by p's rules (RFC 9111 §3.2 and
// §4.3.4). See [Policy.Freshen].
func (c *HttpCache) Freshen(p *Policy, x *Exchange) (*CacheMeta, *Refusal) {
	c.require(opFreshen)
	return p.Freshen(c.meta, x)
}
