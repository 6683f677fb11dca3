package cirque

import (
	"time"
)

// HttpCache is one request's walk through the cache: a state machine whose phases are CachePhase.
// The caller, a proxy, makes the decisions (what is the key, is this entry fresh, may that response
// be stored) and tells them; HttpCache keeps the books, talks to the Storage and holds the lock.
//
//	Enable → SetKey ─┬─ Lookup ─┬─ Found ──▶ Hit ──────────────▶ FinishHit
//	                 │          │        └─▶ Stale ─┬─ StaleUpdating ─▶ FinishHit
//	                 │          │                   ├─ Revalidate ─▶ FinishHit
//	                 │          │                   └─ SetMeta ─▶ Expired ─┐
//	                 │          └─ Miss ─▶ SetMeta ────────────────────────┼─ StartFill
//	                 └─ Bypass ─▶ SetMeta ─────────────────────────────────┘
//
// A step taken in a phase that does not allow it panics with *PhaseError: the caller has a bug.
// Whatever happens at run time, a failing Storage above all, is an error.
//
// The zero HttpCache is disabled, with NeverEnabled. One goroutine drives it; the *Fill it hands
// out is another's to drive. Release must be called at the end of the walk.
type HttpCache struct {
	phase  CachePhase
	reason NoCacheReason
	slot
	validAfter time.Time

	meta      *CacheMeta
	hit       HitHandler // what FinishHit closes: a stored body, or the reader of our own fill
	hitStatus HitStatus
	found     storedEntry

	permit   *WritePermit
	lockKey  CacheKey // the key that permit and readLock were taken for
	readLock *ReadLock
	class    string // see SetLockClass

	tracker        sizeTracker
	lookupDuration time.Duration
	lockDuration   time.Duration
}

// Reset makes c ready for another request. The walk before must have been released.
func (c *HttpCache) Reset() { *c = HttpCache{} }

// Phase returns the phase.
func (c *HttpCache) Phase() CachePhase { return c.phase }

// NoCacheReason returns why the cache is disabled; empty where it is not.
func (c *HttpCache) NoCacheReason() NoCacheReason {
	if c.phase == PhaseDisabled && c.reason == "" {
		return NeverEnabled
	}
	return c.reason
}

// Enabled reports whether the cache takes part.
func (c *HttpCache) Enabled() bool { return c.phase != PhaseDisabled }

// UpstreamUsed reports whether this request's answer had to come from, or be confirmed by, the
// origin.
func (c *HttpCache) UpstreamUsed() bool {
	return !in(PhaseUninit, PhaseCacheKey, PhaseHit, PhaseStale, PhaseStaleUpdating).has(c.phase)
}

// Enable turns the cache on for this request.
func (c *HttpCache) Enable(opts *CacheOptions) {
	c.transition(opEnable, PhaseUninit)
	c.opts, c.state, c.reason = opts, opts.Storage.Purges(), ""
	c.tracker = sizeTracker{max: opts.MaxObjectBytes}
}

// SetTrace makes t's hooks see this walk. Nil is no trace.
func (c *HttpCache) SetTrace(t *CacheTrace) { c.trace = t }

// Disable turns the cache off for this request: what is held is let go, and those who wait for this
// request's fill learn of it in the way that suits the reason.
func (c *HttpCache) Disable(reason NoCacheReason) {
	c.transition(opDisable, PhaseDisabled)
	c.ReleaseWriteLock(reason)
	c.dropHit()
	c.reason = reason
}

// Bypass skips the lookup. The response may still be stored, in place of what is there.
func (c *HttpCache) Bypass() { c.transition(opBypass, PhaseBypass) }

// SetKey sets the key of the request.
func (c *HttpCache) SetKey(key CacheKey) {
	c.transition(opSetKey, PhaseCacheKey)
	c.key, c.newRecord, c.voided = key, false, nil
	c.setVaryRecord(nil)
	c.notePurges()
}

// Key returns the key: the variant's, once the variance is known.
func (c *HttpCache) Key() CacheKey { return c.key }

// Meta returns the meta of what is being served or stored; nil where there is none yet.
func (c *HttpCache) Meta() *CacheMeta { return c.meta }

// SetValidAfter makes entries first stored before t count as not found. The zero Time lifts that.
func (c *HttpCache) SetValidAfter(t time.Time) { c.validAfter = t }

// SetPurgeEpoch says which purges of everything and of groups the origin's answer comes after:
// those that [CacheOptions.PurgeEpoch] counted when the origin was asked. It is called after the
// last Lookup; without it, the purges before that count. A stored response that the answer
// validates, or adds to, has to be from after them all the same.
func (c *HttpCache) SetPurgeEpoch(e PurgeEpoch) { c.purges.asked = e }

// SetMaxObjectBytes overrides CacheOptions.MaxObjectBytes for this request; zero or less is no
// maximum.
func (c *HttpCache) SetMaxObjectBytes(n int64) { c.tracker.max = n }

// TrackBodyBytes counts n more bytes of the response's body, for callers who want to know before
// they fill, and reports whether the body is still within the maximum.
func (c *HttpCache) TrackBodyBytes(n int64) bool { return c.tracker.add(n) }

// ExceedsMaxObject reports whether a body of n bytes would pass the maximum.
func (c *HttpCache) ExceedsMaxObject(n int64) bool {
	return c.tracker.exceeds(n)
}

// Durations returns the time spent in Lookup and VaryLookup, and the time spent in WaitLock. Lookups
// are measured only if there is a trace, an empty one included: it takes two readings of the clock.
func (c *HttpCache) Durations() (lookup, lock time.Duration) {
	return c.lookupDuration, c.lockDuration
}

// predictionKey is the key that the predictor knows the request by.
func (c *HttpCache) predictionKey() CacheKey { return c.inClass(0, 0) }

// PredictCacheable reports whether the response is likely to be cacheable; true without a
// predictor.
func (c *HttpCache) PredictCacheable() bool {
	return c.opts == nil || c.opts.Predictor == nil || c.opts.Predictor.CacheablePrediction(c.predictionKey())
}

// ResponseBecameUncacheable tells the predictor that the response could not be stored, and why.
func (c *HttpCache) ResponseBecameUncacheable(reason NoCacheReason) {
	if c.opts != nil && c.opts.Predictor != nil {
		c.opts.Predictor.MarkUncacheable(c.predictionKey(), reason)
	}
}

// ResponseBecameCacheable tells the predictor that the response can be stored.
func (c *HttpCache) ResponseBecameCacheable() {
	if c.opts != nil && c.opts.Predictor != nil {
		c.opts.Predictor.MarkCacheable(c.predictionKey())
	}
}

// Release ends the walk, in whatever phase it is: the body is closed, a write permit still held is
// released so that another request takes its turn. It is safe to defer and to repeat.
func (c *HttpCache) Release() {
	c.ReleaseWriteLock(InternalError)
	_ = c.closeHit()
}
