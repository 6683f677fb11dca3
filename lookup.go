package cirque

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Lookup looks the key up in the Storage. A miss, or an entry that was purged with everything or
// with a group, or is from before SetValidAfter, is ErrNotFound; any other error is the Storage's.
// A meta with MetaVaryRecord is no response: go on with VaryLookup. The caller passes what it got
// to Found, or closes the HitHandler.
//
// ctx lives as long as the HitHandler.
func (c *HttpCache) Lookup(ctx context.Context) (*CacheMeta, HitHandler, error) {
	c.require(opLookup)
	c.notePurges()
	return c.lookup(ctx)
}

func (c *HttpCache) lookup(ctx context.Context) (*CacheMeta, HitHandler, error) {
	var start time.Time
	timed := c.trace != nil
	if timed {
		start = time.Now()
	}
	meta, hit, err := c.find(ctx, &c.key)
	if timed {
		spent := time.Since(start)
		c.lookupDuration += spent
		c.trace.lookupDone(&c.key, meta, spent, err)
	}
	return meta, hit, err
}

// find looks for what key has in the Storage that neither a purge of everything or a group nor
// SetValidAfter has voided.
func (c *HttpCache) find(ctx context.Context, key *CacheKey) (*CacheMeta, HitHandler, error) {
	meta, hit, err := c.opts.Storage.Lookup(ctx, *key)
	if err == nil && (c.state.Voids(meta) || !c.validAfter.IsZero() && meta.Created().Before(c.validAfter) ||
		!hit.CountsAccess() && c.state.inFlight.isLate(key, hit.Tag())) {
		_ = hit.Close()
		return nil, nil, ErrNotFound
	}
	return meta, hit, err
}

// VaryLookup goes on from the vary record that Lookup returned to the variant that a request with
// these header fields selects (RFC 9111 §4.1), and looks that up. extra, if not nil, adds the
// caller's own dimensions. It closes hit, the record's. A meta that holds no record, or one whose
// fields cannot be read, is ErrNotFound.
func (c *HttpCache) VaryLookup(
	ctx context.Context, meta *CacheMeta, hit HitHandler, header http.Header, extra func(*VarianceBuilder),
) (*CacheMeta, HitHandler, error) {
	c.require(opVaryLookup)
	var stack [4]string
	packed := meta.packedVaryRecord()
	d := decoder{rest: packed}
	epoch, fields, ok := d.varyHead(stack[:0])
	if ok {
		c.countAccess(meta, hit)
	}
	_ = hit.Close()
	if !ok {
		return nil, nil, ErrNotFound
	}
	c.record, c.packed = nil, packed
	return c.lookupVariant(ctx, varyHash(fields, header, epoch, extra))
}

// SelectVariant looks up one of the variants of the record that VaryLookup read, by its hash: the
// one that a 304 named, or that content negotiation prefers (RFC 9111 §4.1 and §4.3.3). It leads
// back to CacheKey; a stale hit that was found before is closed.
func (c *HttpCache) SelectVariant(ctx context.Context, variance HashBinary) (*CacheMeta, HitHandler, error) {
	c.transition(opSelectVariant, PhaseCacheKey)
	c.dropHit()
	return c.lookupVariant(ctx, variance)
}

func (c *HttpCache) lookupVariant(ctx context.Context, variance HashBinary) (*CacheMeta, HitHandler, error) {
	c.key = c.key.WithVariance(variance)
	return c.lookup(ctx)
}

// VaryRecord returns the record of the resource's variants; nil where none was found, or it is
// damaged.
func (c *HttpCache) VaryRecord() *VaryRecord { return c.varyRecord() }

// Found takes what Lookup or VaryLookup returned and moves on by status: to Hit, to Stale, or,
// where the entry is not to be used, to Miss.
func (c *HttpCache) Found(meta *CacheMeta, hit HitHandler, status HitStatus) {
	c.found = storedEntry{c.key.Variance(), hit.Tag()}
	switch {
	case status.isMiss():
		c.transition(opFound, PhaseMiss)
		c.hitStatus = status
		_ = hit.Close()
		c.trace.miss(&c.key)
		return
	case status.IsFresh():
		c.transition(opFound, PhaseHit)
	default:
		c.transition(opFound, PhaseStale)
	}
	c.meta, c.hit, c.hitStatus = meta, hit, status
	c.countAccess(meta, hit)
	c.trace.hit(&c.key, status, meta)
}

func (c *HttpCache) countAccess(meta *CacheMeta, hit HitHandler) {
	if c.opts.Eviction != nil && hit.CountsAccess() {
		c.opts.Eviction.Access(c.key.Compact(), hit.Weight(), meta.FreshUntil())
	}
}

// Miss says that nothing usable was found. From Stale it gives up what was found.
func (c *HttpCache) Miss() {
	c.transition(opMiss, PhaseMiss)
	c.dropHit()
	c.trace.miss(&c.key)
}

// StaleUpdating says that the stale entry is served while another request revalidates it (RFC 5861
// §3).
func (c *HttpCache) StaleUpdating() { c.transition(opStaleUpdating, PhaseStaleUpdating) }

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

func (o *CacheOptions) lockStatus(reason NoCacheReason) LockStatus {
	if reason == "" {
		return LockDone
	}
	return lockStatusFor(reason, o.CustomLockStatus)
}
