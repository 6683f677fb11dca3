package cirque

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// SetLockClass sets this request apart, for the lock and the predictor, from those of other
// classes: it waits only for its own kind, and what it finds uncacheable is no news for the others.
// The empty class is the default.
func (c *HttpCache) SetLockClass(class string) { c.class = class }

// lockIdentity is the key that the lock knows the request by. It tells apart those who came before,
// during and after a purge: who comes after does not wait for a fetch whose outcome is void.
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

// TryLock asks for the right to fill the key. Afterwards IsWriter says that this request has it,
// IsLocked that another has and WaitLock can wait for it. Without a lock, every request may fill
// and neither is true.
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

// IsLocked reports whether another request holds it.
func (c *HttpCache) IsLocked() bool { return c.readLock != nil }

var errNotLocked = errors.New("cirque: no lock to wait for")

// WaitLock waits until the writer is done, this request's share of waiting (CacheOptions.LockWait,
// over all of its waits) is used up, or ctx ends. The walk then stands at CacheKey again, on the
// primary slot, and a stale entry found before is closed. The status says how it goes on: LockDone,
// look up again; LockTransientError, LockUpstreamError, LockDangling and LockAgeTimeout, look up
// again and try to become the writer; LockGiveUp and LockWaitTimeout, fetch without the cache. The
// error is ctx's. If IsLocked is false, WaitLock returns another error and changes nothing.
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

// StartOver takes the walk back to CacheKey, on the primary slot, to look up once more: who has
// become the writer may find that another request filled the key between its lookup and its lock. A
// stale entry found before is closed. The permit is kept.
func (c *HttpCache) StartOver() { c.restart(opStartOver) }

func (c *HttpCache) restart(o op) {
	c.transition(o, PhaseCacheKey)
	c.dropHit()
	// What varies, and how, may have changed.
	c.key = c.key.WithVariance(HashBinary{})
	c.setVaryRecord(nil)
}

// TakeWriteLock hands the write permit, and the key it is for, over to the caller, who releases it
// or gives it to another walk; nil where this one has none.
func (c *HttpCache) TakeWriteLock() (*WritePermit, CacheKey) {
	permit := c.permit
	c.permit = nil
	return permit, c.lockKey
}

// SetWriteLock gives c, which has none, a permit that another walk of the same cache took.
func (c *HttpCache) SetWriteLock(permit *WritePermit, lockKey CacheKey) {
	c.require(opSetWriteLock)
	c.permit, c.lockKey = permit, lockKey
}

// ReleaseWriteLock gives up the write permit, if c has it. Those who wait learn the status that
// suits reason; the empty reason means that the response is in the Storage.
func (c *HttpCache) ReleaseWriteLock(reason NoCacheReason) {
	c.readLock = nil
	if c.permit != nil {
		permit, key := c.TakeWriteLock()
		c.opts.Lock.Release(key, permit, c.opts.lockStatus(reason))
	}
}
