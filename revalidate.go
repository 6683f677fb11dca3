package cirque

import (
	"context"
	"errors"
	"time"
)

// Revalidate says that the stale entry was validated (RFC 9111 §4.3.3). fresh is its meta,
// freshened by the origin's answer; it must not be changed afterwards. Revalidate writes it to the
// Storage and releases the write permit. ErrNotFound means that the entry was purged, replaced, or
// validated by a more recent answer meanwhile. This request asked before that, so the entry may
// still be served to it.
func (c *HttpCache) Revalidate(ctx context.Context, fresh *CacheMeta) error {
	c.transition(opRevalidate, PhaseRevalidated)
	fresh.SetVariance(c.key.Variance())
	fresh.SetPurgeEpoch(c.purges.epoch)
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
	pending := pendingWrite{meta: fresh}
	c.state.inFlight.enter(c.key, &pending)
	defer c.state.inFlight.leave(c.key, &pending)
	if c.purged(fresh) {
		return ErrNotFound
	}
	c.state.inFlight.begun(&pending, 0) // a purge from now on removes the entry before UpdateMeta finds it
	if err := c.updateFound(ctx, old, fresh, &pending); err != nil {
		return err
	}
	if a, b := VariantOf(c.key, old), VariantOf(c.key, fresh); a != b {
		// The record has a copy of the validators. If the copy stays old, a later validation fails,
		// and nothing worse happens.
		_ = c.enterVariant(ctx, fresh)
	}
	return nil
}

// updateFound replaces the meta of the entry that was found, unless the entry is more recent by
// now: the answers to two validations may come in any order.
func (c *HttpCache) updateFound(ctx context.Context, old, fresh *CacheMeta, own *pendingWrite) error {
	if err := c.state.inFlight.lock(ctx, c.key.primaryHash); err != nil {
		return err
	}
	defer c.state.inFlight.unlock(c.key.primaryHash)
	if late, _ := c.state.inFlight.tooLate(own); late || c.validatedSince(ctx, fresh) {
		return ErrSuperseded
	}
	if err := c.opts.updateMeta(ctx, c.trace, c.key, old, fresh, c.found.tag); err != nil {
		return err
	}
	c.state.inFlight.outrun(&c.key, arrival{meta: fresh, tag: c.found.tag, own: own})
	return nil
}

// validatedSince reports whether the entry that was found is more recent than fresh.
func (c *HttpCache) validatedSince(ctx context.Context, fresh *CacheMeta) bool {
	now, hit, err := lookupStreaming(ctx, c.opts.Storage, c.key, c.found.tag)
	if errors.Is(err, errors.ErrUnsupported) {
		now, hit, err = c.opts.Storage.Lookup(ctx, c.key)
	}
	if err != nil {
		return false // UpdateMeta will fail too
	}
	defer hit.Close()
	return hit.Tag() == c.found.tag && moreRecent(now, fresh, time.Now())
}

// RevalidateUncacheable says that the stale entry was validated by an answer that forbids storing
// it any longer. The entry is removed, and can be served once more with the meta fresh. The write
// permit is released. With the reason Deferred the entry stays as it is, and nothing is written:
// the caller has a reason not to remove what others can use, such as an answer that may not be
// stored only because of this request, or of its cookie.
func (c *HttpCache) RevalidateUncacheable(ctx context.Context, fresh *CacheMeta, reason NoCacheReason) error {
	c.transition(opRevalidateUncacheable, PhaseRevalidatedNoCache)
	c.meta, c.reason = fresh, reason
	defer c.ReleaseWriteLock(reason)
	if reason == Deferred {
		return nil
	}
	return c.supersede(ctx, fresh)
}

// Supersede removes the stored entry because of a more recent answer that may not be stored
// (RFC 9111 §4: the most recent response decides). It also voids the writes of responses that were
// asked for earlier. Of answer, only Updated, Asked and the Date field count. Supersede returns
// ErrNotFound if there is no entry any more, or a more recent one.
func (c *HttpCache) Supersede(ctx context.Context, answer *CacheMeta) error {
	c.require(opSupersede)
	return c.supersede(ctx, answer)
}

// supersede removes the entry if it is less recent than by.
func (c *HttpCache) supersede(ctx context.Context, by *CacheMeta) error {
	if err := c.state.inFlight.lock(ctx, c.key.primaryHash); err != nil {
		return err
	}
	defer c.state.inFlight.unlock(c.key.primaryHash)
	how := PurgeInvalidation
	if !c.state.inFlight.outrun(&c.key, arrival{meta: by}) {
		how = PurgeEviction // an invalidation would void more recent writes too
	}
	found, hit, err := c.opts.Storage.Lookup(ctx, c.key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	if err == nil {
		defer hit.Close()
		if moreRecent(found, by, time.Now()) {
			return ErrSuperseded
		}
	}
	return c.opts.drop(ctx, c.key, how)
}
