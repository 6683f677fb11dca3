package cirque

import (
	"time"
)

// HttpCache is one request's walk through the cache: a state machine whose phases are CachePhase.
// The caller, a proxy, makes the decisions: the key, whether an entry is fresh, whether a response
// may be stored. HttpCache keeps the state, calls the Storage and holds the lock.
//
//	Enable → SetKey ─┬─ Lookup ─┬─ Found ──▶ Hit ──────────────▶ FinishHit
//	                 │          │        └─▶ Stale ─┬─ StaleUpdating ─▶ FinishHit
//	                 │          │                   ├─ Revalidate ─▶ FinishHit
//	                 │          │                   └─ SetMeta ─▶ Expired ─┐
//	                 │          └─ Miss ─▶ SetMeta ────────────────────────┼─ StartFill
//	                 └─ Bypass ─▶ SetMeta ─────────────────────────────────┘
//
// A step that the phase does not allow panics with *PhaseError: the caller has a bug. What goes
// wrong at run time, such as a failing Storage, is an error.
//
// The zero HttpCache is disabled, with NeverEnabled. One goroutine at a time may drive it; another
// may drive the *Fill that it returns. Release must be called at the end of the walk.
type HttpCache struct {
	phase  CachePhase
	reason NoCacheReason
	slot
	validAfter time.Time

	meta      *CacheMeta
	hit       HitHandler // the open body: a stored one, or the reader of our own fill
	hitStatus HitStatus
	found     storedEntry

	permit   *WritePermit
	lockKey  CacheKey // of permit and readLock
	readLock *ReadLock
	class    string // see SetLockClass

	tracker        sizeTracker
	lookupDuration time.Duration
	lockDuration   time.Duration
}

// Phase returns the phase. At PhaseDisabled, the cache takes no part.
func (c *HttpCache) Phase() CachePhase { return c.phase }

// NoCacheReason returns why the response is not cached. It is empty unless the walk was disabled or
// RevalidateUncacheable was called.
func (c *HttpCache) NoCacheReason() NoCacheReason {
	if c.phase == PhaseDisabled && c.reason == "" {
		return NeverEnabled
	}
	return c.reason
}

// UpstreamUsed reports whether the phase is one in which the origin is asked for the answer, or to
// validate it. At PhaseDisabled it is true, also if the caller chose not to ask the origin
// (DeclinedToUpstream).
func (c *HttpCache) UpstreamUsed() bool {
	return !in(PhaseUninit, PhaseCacheKey, PhaseHit, PhaseStale, PhaseStaleUpdating).has(c.phase)
}

// Enable turns the cache on for this request.
func (c *HttpCache) Enable(opts *CacheOptions) {
	c.transition(opEnable, PhaseUninit)
	c.opts, c.state, c.reason = opts, opts.Storage.Purges(), ""
	c.tracker = sizeTracker{max: opts.MaxObjectBytes}
}

// SetTrace reports the events of this walk to t. Nil is no trace.
func (c *HttpCache) SetTrace(t *CacheTrace) { c.trace = t }

// Disable turns the cache off for this request. The body is closed and the write permit released;
// the waiters get the status that suits reason.
func (c *HttpCache) Disable(reason NoCacheReason) {
	c.transition(opDisable, PhaseDisabled)
	c.ReleaseWriteLock(reason)
	c.dropHit()
	c.reason = reason
}

// Bypass skips the lookup. The response may still be stored, and then replaces the entry.
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

// Meta returns the meta of the response that is served or stored, or nil.
func (c *HttpCache) Meta() *CacheMeta { return c.meta }

// SetValidAfter makes entries first stored before t count as not found. The zero Time lifts that.
func (c *HttpCache) SetValidAfter(t time.Time) { c.validAfter = t }

// SetPurgeEpoch says that the origin was asked at epoch e of [PurgeState.Epoch]: its answer is
// newer than the purges of everything and of groups up to e. It must be called after the last
// Lookup; SelectVariant may follow. Without it, the epoch of that Lookup counts. A stored response
// that the answer validates or adds to counts as of that Lookup in any case.
func (c *HttpCache) SetPurgeEpoch(e PurgeEpoch) { c.purges.askedEpoch = e }

// SetMaxObjectBytes overrides CacheOptions.MaxObjectBytes for this request. Zero or less means no
// maximum.
func (c *HttpCache) SetMaxObjectBytes(n int64) { c.tracker.max = n }

// TrackBodyBytes counts n more bytes of the response's body and reports whether it is still within
// the maximum. It is for callers who count before they fill.
func (c *HttpCache) TrackBodyBytes(n int64) bool { return c.tracker.add(n) }

// ExceedsMaxObject reports whether a body of n bytes is larger than the maximum.
func (c *HttpCache) ExceedsMaxObject(n int64) bool {
	return c.tracker.exceeds(n)
}

// Durations returns the time spent in lookups, and the time spent in WaitLock. Lookups are measured
// only if there is a trace (an empty one will do), because that reads the clock twice.
func (c *HttpCache) Durations() (lookup, lock time.Duration) {
	return c.lookupDuration, c.lockDuration
}

// PredictionKey returns the key that stands for the request in the predictor.
func (c *HttpCache) PredictionKey() CacheKey { return c.inClass(0, 0) }

// PredictCacheable reports whether the response is likely to be cacheable. Without a predictor it
// is true.
func (c *HttpCache) PredictCacheable() bool {
	return c.opts == nil || c.opts.Predictor == nil || c.opts.Predictor.CacheablePrediction(c.PredictionKey())
}

// ResponseBecameUncacheable tells the predictor that the response could not be stored, and why.
func (c *HttpCache) ResponseBecameUncacheable(reason NoCacheReason) {
	if c.opts != nil && c.opts.Predictor != nil {
		c.opts.Predictor.MarkUncacheable(c.PredictionKey(), reason)
	}
}

// ResponseBecameCacheable tells the predictor that the response can be stored.
func (c *HttpCache) ResponseBecameCacheable() {
	if c.opts != nil && c.opts.Predictor != nil {
		c.opts.Predictor.MarkCacheable(c.PredictionKey())
	}
}

// Release ends the walk in any phase: it closes the body and releases the write permit, so that
// another request takes its turn. It may be deferred and repeated.
func (c *HttpCache) Release() {
	c.ReleaseWriteLock(InternalError)
	_ = c.closeHit()
}
