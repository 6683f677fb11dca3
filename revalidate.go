package cirque

import (
	"context"
	"errors"
	"time"
)

// Revalidate says that the stale entry was validated (RFC 9111 §4.3.3): fresh is its meta,
// freshened by the origin's answer, and must not change afterwards. It is written to the Storage,
// and the entry is served. ErrNotFound means that the entry was purged or replaced meanwhile, or
// validated by a more recent answer: it may still be served to this request, which asked before.
// The write permit is released either way.
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
	c.state.inFlight.begun(&pending, 0) // what is purged from now on is not there to be updated
	if err := c.updateFound(ctx, old, fresh, &pending); err != nil {
		return err
	}
	if a, b := VariantOf(c.key, old), VariantOf(c.key, fresh); a != b {
		// The record's copy of the validators. If it can't be kept current, a later validation
		// fails, and no more.
		_ = c.enterVariant(ctx, fresh)
	}
	return nil
}

// updateFound replaces the meta of what was found, unless that is more recent by now: the answers
// to two validations may come in any order.
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
	c.state.inFlight.outrun(&c.key, fresh, c.found.tag, own, false)
	return nil
}

// validatedSince reports whether the entry that was found is more recent than fresh.
func (c *HttpCache) validatedSince(ctx context.Context, fresh *CacheMeta) bool {
	now, hit, err := lookupStreaming(ctx, c.opts.Storage, c.key, c.found.tag)
	if errors.Is(err, errors.ErrUnsupported) {
		now, hit, err = c.opts.Storage.Lookup(ctx, c.key)
	}
	if err != nil {
		return false // which is for UpdateMeta to find out
	}
	defer hit.Close()
	return hit.Tag() == c.found.tag && moreRecent(now, fresh, time.Now())
}

// RevalidateUncacheable says that the stale entry was validated by an answer that forbids storing
// it any longer: it is served once more, with the meta given, and removed. Then the write permit is
// released. With the reason Deferred it is this request that forbids it, not the answer, and the
// entry stays as it was.
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

// supersede removes what is less recent than a response with meta by.
func (c *HttpCache) supersede(ctx context.Context, by *CacheMeta) error {
	if err := c.state.inFlight.lock(ctx, c.key.primaryHash); err != nil {
		return err
	}
	defer c.state.inFlight.unlock(c.key.primaryHash)
	how := PurgeInvalidation
	if !c.state.inFlight.outrun(&c.key, by, 0, nil, false) {
		how = PurgeEviction // an invalidation would void more recent ones too
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
