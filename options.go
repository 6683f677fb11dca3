package cirque

import (
	"context"
	"time"
)

// CacheOptions is what all requests of one cache share: the Storage, the parts that decide, and the
// limits. Its fields must be set before the first use and never after. It must not be copied; share
// it by pointer.
type CacheOptions struct {
	// Storage keeps the responses. Required.
	Storage Storage
	// Eviction chooses the entries that leave when room is needed. Nil: the Storage chooses.
	Eviction EvictionManager
	// Predictor remembers keys whose responses were uncacheable. Nil: nothing is predicted.
	Predictor CacheablePredictor
	// Lock lets one request at a time fill a key. Nil: every miss goes upstream.
	Lock CacheKeyLock

	// LockWait bounds the time that one request spends in all its WaitLock calls together. Zero or
	// less means 5 seconds.
	LockWait time.Duration
	// MaxObjectBytes is the largest body that is stored. Zero or less means no maximum.
	MaxObjectBytes int64
	// CustomLockStatus returns the status that waiters get when a fill ended for a custom reason.
	// Nil: LockGiveUp.
	CustomLockStatus func(NoCacheReason) LockStatus
	// Spool bounds the memory for bodies that a request reads while they are written to a Storage
	// that does not stream. When it is used up, slow readers slow their fills. Nil: no bound.
	Spool *Budget
}

const defaultLockWait = 5 * time.Second

func (o *CacheOptions) lockWait() time.Duration {
	if o.LockWait <= 0 {
		return defaultLockWait
	}
	return o.LockWait
}

// lockStatus returns the status that the waiters get when a fill ended for reason.
func (o *CacheOptions) lockStatus(reason NoCacheReason) LockStatus {
	return lockStatusFor(reason, o.CustomLockStatus)
}

// updateMeta replaces the meta of the entry with this tag, and tells the eviction manager the
// difference in weight.
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

// drop removes the entry in key's slot. An invalidation also voids the writes under way to it.
func (o *CacheOptions) drop(ctx context.Context, key CacheKey, typ PurgeType) error {
	if o.Eviction != nil {
		o.Eviction.Remove(key.Compact())
	}
	return o.Storage.Purge(context.WithoutCancel(ctx), key.Compact(), typ)
}

// evict purges the keys that the eviction manager gave up.
func (o *CacheOptions) evict(ctx context.Context, trace *CacheTrace, keys []CompactCacheKey) {
	evict(context.WithoutCancel(ctx), o.Storage, trace, keys)
}
