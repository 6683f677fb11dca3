package cirque

import (
	"context"
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
