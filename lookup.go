package cirque

import (
	"context"
	"net/http"
	"time"
)

// Lookup looks the key up in the Storage. It returns ErrNotFound if there is no entry, if a purge
// of everything or of a group voids it, if it is from before SetValidAfter, or if it is a write
// under way that is older than what was stored meanwhile; any other error is the Storage's. If the
// meta has MetaVaryRecord, it is no response: go on with VaryLookup. The caller must pass the
// results to Found, or close the HitHandler.
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

// find returns the entry of key in the Storage, or ErrNotFound for the reasons that Lookup names.
func (c *HttpCache) find(ctx context.Context, key *CacheKey) (*CacheMeta, HitHandler, error) {
	meta, hit, err := c.opts.Storage.Lookup(ctx, *key)
	if err == nil && (c.state.Voids(meta) || !c.validAfter.IsZero() && meta.Created().Before(c.validAfter) ||
		underWay(hit) && c.state.inFlight.isLate(key, hit.Tag())) {
		_ = hit.Close()
		return nil, nil, ErrNotFound
	}
	return meta, hit, err
}

// VaryLookup takes the vary record that Lookup returned, and looks up the variant that a request
// with this header selects (RFC 9111 §4.1). extra, if not nil, adds the caller's own dimensions. It
// closes hit, which is the record's. If meta holds no record, or a damaged one, it returns
// ErrNotFound.
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

// SelectVariant looks up a variant of the record that VaryLookup read, by its hash: the variant
// that a 304 named, or that content negotiation prefers (RFC 9111 §4.1 and §4.3.3). The walk is at
// CacheKey again, and a stale entry that was found is closed.
func (c *HttpCache) SelectVariant(ctx context.Context, variance HashBinary) (*CacheMeta, HitHandler, error) {
	c.transition(opSelectVariant, PhaseCacheKey)
	c.dropHit()
	return c.lookupVariant(ctx, variance)
}

func (c *HttpCache) lookupVariant(ctx context.Context, variance HashBinary) (*CacheMeta, HitHandler, error) {
	c.key = c.key.WithVariance(variance)
	return c.lookup(ctx)
}

// VaryRecord returns the record of the resource's variants, or nil if none was found or it is
// damaged.
func (c *HttpCache) VaryRecord() *VaryRecord { return c.varyRecord() }

// Found takes the results of Lookup or VaryLookup. The status decides the next phase: Hit, Stale,
// or Miss if the entry must not be used.
func (c *HttpCache) Found(meta *CacheMeta, hit HitHandler, status HitStatus) {
	c.found = storedEntry{c.key.Variance(), hit.Tag()}
	switch {
	case status.isMiss():
		c.transition(opFound, PhaseMiss)
		c.hitStatus = status
		_ = hit.Close()
		c.trace.miss(&c.key)
		return
	case status.isFresh():
		c.transition(opFound, PhaseHit)
	default:
		c.transition(opFound, PhaseStale)
	}
	c.meta, c.hit, c.hitStatus = meta, hit, status
	c.countAccess(meta, hit)
	c.trace.hit(&c.key, status, meta)
	if underWay(hit) {
		c.trace.readerJoined(&c.key, meta)
	}
}

// underWay reports whether hit reads a write that is not finished: only those do not count as an
// access (see HitHandler.CountsAccess).
func underWay(hit HitHandler) bool { return !hit.CountsAccess() }

func (c *HttpCache) countAccess(meta *CacheMeta, hit HitHandler) {
	if c.opts.Eviction != nil && hit.CountsAccess() {
		c.opts.Eviction.Access(c.key.Compact(), hit.Weight(), meta.FreshUntil())
	}
}

// Miss says that nothing usable was found. At Stale it gives up the entry that was found.
func (c *HttpCache) Miss() {
	c.transition(opMiss, PhaseMiss)
	c.dropHit()
	c.trace.miss(&c.key)
}

// StaleUpdating says that the stale entry is served while another request revalidates it (RFC 5861
// §3).
func (c *HttpCache) StaleUpdating() { c.transition(opStaleUpdating, PhaseStaleUpdating) }
