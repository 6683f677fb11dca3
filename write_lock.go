package cirque

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// SetLockClass sets the class of this request for the lock and the predictor. A request waits only
// for fills of its own class, and a response that proves uncacheable counts only for its class. The
// default is the empty class.
func (c *HttpCache) SetLockClass(class string) { c.class = class }

// lockIdentity returns the request's key for the lock. It differs before, during and after a purge,
// so that a request after the purge does not wait for a fetch that the purge has voided.
func (c *HttpCache) lockIdentity() CacheKey {
	return c.inClass(c.purges.latest, c.purges.generation)
}

func (c *HttpCache) inClass(purges, generation uint64) CacheKey {
	if c.class == "" && purges == 0 && generation == 0 {
		return c.key
	}
	primary := c.key.PrimaryHash()
	b := binary.AppendUvarint(primary[:], purges)
	b = binary.AppendUvarint(b, generation)
	return c.key.WithPrimaryHash(hash128(append(b, c.class...)))
}

// TryLock asks for the write permit of the key. Afterwards IsWriter is true if this request has it,
// or IsLocked is true if another request has it, for which WaitLock can wait. If there is no lock,
// neither is true, and every request may fill.
func (c *HttpCache) TryLock() {
	c.require(opTryLock)
	if c.opts.Lock == nil || c.permit != nil {
		return
	}
	c.lockKey = c.lockIdentity()
	c.permit, c.readLock = c.opts.Lock.Lock(c.lockKey, c.phase == PhaseStale)
}

// IsWriter reports whether this request holds the write permit.
func (c *HttpCache) IsWriter() bool { return c.permit != nil }

// IsLocked reports whether another request holds the write permit.
func (c *HttpCache) IsLocked() bool { return c.readLock != nil }

var errNotLocked = errors.New("cirque: no lock to wait for")

// WaitLock waits until the writer is done, all waits of this request together have taken
// CacheOptions.LockWait, or ctx ends. Then the walk is at CacheKey again, on the primary slot, and
// a stale entry that was found is closed. The status says how to go on:
//
//   - LockDone: look up again.
//   - LockTransientError, LockUpstreamError, LockDangling, LockAgeTimeout: look up again, and try
//     to become the writer.
//   - LockGiveUp, LockWaitTimeout: fetch without the cache.
//
// The error is ctx's. If IsLocked is false, WaitLock returns another error and changes nothing.
func (c *HttpCache) WaitLock(ctx context.Context) (LockStatus, error) {
	c.require(opWaitLock)
	lock := c.readLock
	if lock == nil {
		return 0, errNotLocked
	}
	c.restart(opWaitLock)
	c.readLock = nil
	start := time.Now()
	status := lock.Wait(ctx, max(0, c.opts.lockWait()-c.lockDuration))
	spent := time.Since(start)
	c.lockDuration += spent
	c.trace.lockWait(c.key, status, spent)
	return status, ctx.Err()
}

// StartOver takes the walk back to CacheKey, on the primary slot, to look up once more: another
// request may have filled the key between this request's lookup and its TryLock. A stale entry that
// was found is closed. The write permit is kept.
func (c *HttpCache) StartOver() { c.restart(opStartOver) }

func (c *HttpCache) restart(o op) {
	c.transition(o, PhaseCacheKey)
	c.dropHit()
	// The vary record may have changed.
	c.key = c.key.WithVariance(HashBinary{})
	c.setVaryRecord(nil)
}

// TakeWriteLock returns the write permit, or nil, and its key. The caller now owns the permit, and
// must release it or give it to another walk.
func (c *HttpCache) TakeWriteLock() (*WritePermit, CacheKey) {
	permit := c.permit
	c.permit = nil
	return permit, c.lockKey
}

// SetWriteLock gives c a write permit that TakeWriteLock of another walk of the same cache
// returned. c must have none.
func (c *HttpCache) SetWriteLock(permit *WritePermit, lockKey CacheKey) {
	c.require(opSetWriteLock)
	c.permit, c.lockKey = permit, lockKey
}

// ReleaseWriteLock releases the write permit, if c has it. The waiters get the status that suits
// reason; the empty reason means that the response is in the Storage.
func (c *HttpCache) ReleaseWriteLock(reason NoCacheReason) {
	c.readLock = nil
	if c.permit != nil {
		permit, key := c.TakeWriteLock()
		c.opts.Lock.Release(key, permit, c.opts.lockStatus(reason))
	}
}
