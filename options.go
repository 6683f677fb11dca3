package cirque

import (
	"context"
	"time"
)

// CacheOptions is what the requests of one cache share: where responses are kept, who decides what
// leaves, and the limits. Set the fields before the first use and never after; share it by pointer,
// it must not be copied.
type CacheOptions struct {
	// Storage keeps the responses. Required.
	Storage Storage
	// Eviction chooses what leaves when room is needed. Nil: the Storage looks after itself.
	Eviction EvictionManager
	// Predictor remembers what turned out uncacheable. Nil: nothing is predicted.
	Predictor CacheablePredictor
	// Lock lets one request at a time fill a key. Nil: every miss goes upstream.
	Lock CacheKeyLock

	// LockWait bounds what one request spends in WaitLock altogether. Zero or less means 5 seconds.
	LockWait time.Duration
	// MaxObjectBytes is the largest body that is stored. Zero or less means no maximum.
	MaxObjectBytes int64
	// CustomLockStatus says what those who wait for a fill learn when it ended for a custom reason.
	// Nil: LockGiveUp.
	CustomLockStatus func(NoCacheReason) LockStatus
	// Spool bounds the memory for bodies that a request reads while a Storage that does not stream
	// stores them. Where it is used up, slow readers slow their fills. Nil: no bound.
	Spool *Budget
}

const defaultLockWait = 5 * time.Second

func (o *CacheOptions) lockWait() time.Duration {
	if o.LockWait <= 0 {
		return defaultLockWait
	}
	return o.LockWait
}

func (o *CacheOptions) lockStatus(reason NoCacheReason) LockStatus {
	if reason == "" {
		return LockDone
	}
	return lockStatusFor(reason, o.CustomLockStatus)
}

// updateMeta replaces the meta of the entry with that tag, and accounts for the difference in
// weight.
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

// drop removes what is in key's slot; with an invalidation it voids what is on its way there, too.
func (o *CacheOptions) drop(ctx context.Context, key CacheKey, typ PurgeType) error {
	if o.Eviction != nil {
		o.Eviction.Remove(key.Compact())
	}
	return o.Storage.Purge(context.WithoutCancel(ctx), key.Compact(), typ)
}

// evict drops what the eviction manager gave up.
func (o *CacheOptions) evict(ctx context.Context, trace *CacheTrace, keys []CompactCacheKey) {
	evict(context.WithoutCancel(ctx), o.Storage, trace, keys)
}
