package cirque

import (
	"encoding/binary"
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

// slot is the place in the cache that a walk, and then its fill, is about.
type slot struct {
	opts   *CacheOptions
	state  *PurgeState // of the Storage
	trace  *CacheTrace
	key    CacheKey
	purges purgeMark // when the key was last looked up

	record    *VaryRecord // see varyRecord
	packed    string      // record as it was found, until somebody asks for it
	newRecord bool        // it takes the place of what is in the primary slot
	voided    *VaryRecord // whose variants are out of reach once the fill is stored; nil: none
}

// varyRecord returns the vary record that the key's variance belongs to; nil where there is none.
// It is unpacked late: a hit has no use for the variants, which may be many.
func (s *slot) varyRecord() *VaryRecord {
	if s.packed != "" {
		s.record, _ = decodeVaryRecord(s.packed)
		s.packed = ""
	}
	return s.record
}

func (s *slot) setVaryRecord(r *VaryRecord) { s.record, s.packed = r, "" }

// storedEntry is what a walk found: what the answer of the origin validates, or takes the place of.
type storedEntry struct {
	variance HashBinary
	tag      Tag // zero: nothing was found
}

// notePurges remembers the purges so far.
func (s *slot) notePurges() {
	s.purges = s.state.mark(s.key.primaryHash)
	s.purges.epoch, s.purges.generation = s.state.Epoch(), s.state.generation()
	s.purges.asked = s.purges.epoch
}

// purged reports whether a purge of the key began since it was last looked up, or one of everything
// or of a group that voids what meta, which knows its epoch, is about.
func (s *slot) purged(meta *CacheMeta) bool {
	return s.state.purgedSince(s.key.primaryHash, s.purges) || s.state.Voids(meta)
}

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

// Hit returns the body to serve from: the stored one, or after StartFill the reader of that fill.
// Nil where there is none. FinishHit closes it.
func (c *HttpCache) Hit() HitHandler { return c.hit }

// TakeHit hands the open body over to the caller, who closes it; nil where there is none.
func (c *HttpCache) TakeHit() HitHandler {
	c.require(opTakeHit)
	hit := c.hit
	c.hit = nil
	return hit
}

// HitStatus returns what Found was told; zero before.
func (c *HttpCache) HitStatus() HitStatus { return c.hitStatus }

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

// SetLockClass sets this request apart, for the lock and the predictor, from those of other
// classes: it waits only for its own kind, and what it finds uncacheable is no news for the others.
// The empty class is the default.
func (c *HttpCache) SetLockClass(class string) { c.class = class }

// predictionKey is the key that the predictor knows the request by.
func (c *HttpCache) predictionKey() CacheKey { return c.inClass(0, 0) }

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

// FinishHit ends the reading of the body.
func (c *HttpCache) FinishHit() error {
	c.require(opFinishHit)
	return c.closeHit()
}

// Release ends the walk, in whatever phase it is: the body is closed, a write permit still held is
// released so that another request takes its turn. It is safe to defer and to repeat.
func (c *HttpCache) Release() {
	c.ReleaseWriteLock(InternalError)
	_ = c.closeHit()
}

func (c *HttpCache) closeHit() error {
	hit := c.hit
	c.hit = nil
	if hit == nil {
		return nil
	}
	return hit.Close()
}

// dropHit gives up what was found.
func (c *HttpCache) dropHit() {
	_ = c.closeHit()
	c.meta = nil
}
