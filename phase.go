package cirque

import (
	"fmt"
	"strings"
)

// CachePhase is where a request stands in its walk through the cache.
type CachePhase uint8

// The phases. The zero value is PhaseDisabled.
const (
	// PhaseDisabled: the cache takes no part; HttpCache.NoCacheReason says why.
	PhaseDisabled CachePhase = iota
	// PhaseUninit: enabled, no key yet.
	PhaseUninit
	// PhaseBypass: nothing is looked up, but the response may be stored and replaces what is there.
	PhaseBypass
	// PhaseCacheKey: the key is set, nothing was looked up yet.
	PhaseCacheKey
	// PhaseHit: a fresh response was found.
	PhaseHit
	// PhaseMiss: nothing usable was found.
	PhaseMiss
	// PhaseStale: a stale response was found and is being revalidated or served in place of an error.
	PhaseStale
	// PhaseStaleUpdating: a stale response is served while another request revalidates it.
	PhaseStaleUpdating
	// PhaseExpired: a stale response was found and is being replaced by a full answer.
	PhaseExpired
	// PhaseRevalidated: a stale response was validated by a 304 and is served.
	PhaseRevalidated
	// PhaseRevalidatedNoCache: a stale response was validated, is served, and may not be stored any more.
	PhaseRevalidatedNoCache
	phaseCount
)

var phaseNames = [phaseCount]string{
	"Disabled", "Uninit", "Bypass", "CacheKey", "Hit", "Miss", "Stale", "StaleUpdating", "Expired",
	"Revalidated", "RevalidatedNoCache",
}

// String returns the phase's name.
func (p CachePhase) String() string {
	if p < phaseCount {
		return phaseNames[p]
	}
	return fmt.Sprintf("CachePhase(%d)", uint8(p))
}

// NoCacheReason says why a response is not cached. The zero value means that there is no reason: it is.
type NoCacheReason string

// The reasons.
const (
	// NeverEnabled: nobody enabled the cache for this request.
	NeverEnabled NoCacheReason = "NeverEnabled"
	// OriginNotCache: the response says so, by RFC 9111 §3.
	OriginNotCache NoCacheReason = "OriginNotCache"
	// ResponseTooLarge: the body passed the maximum size.
	ResponseTooLarge NoCacheReason = "ResponseTooLarge"
	// PredictedResponseTooLarge: Content-Length announced that it would.
	PredictedResponseTooLarge NoCacheReason = "PredictedResponseTooLarge"
	// StorageError: the Storage failed.
	StorageError NoCacheReason = "StorageError"
	// InternalError: the cache itself failed.
	InternalError NoCacheReason = "InternalError"
	// Deferred: not decided yet; the cache was disabled for now.
	Deferred NoCacheReason = "Deferred"
	// DeclinedToUpstream: the proxy chose to answer without asking the origin.
	DeclinedToUpstream NoCacheReason = "DeclinedToUpstream"
	// UpstreamError: the origin could not be asked or broke off.
	UpstreamError NoCacheReason = "UpstreamError"
	// CacheLockGiveUp: the writer that this request waited for found the response uncacheable, or not to be shared.
	CacheLockGiveUp NoCacheReason = "CacheLockGiveUp"
	// CacheLockTimeout: this request waited for another's fill for as long as it may.
	CacheLockTimeout NoCacheReason = "CacheLockTimeout"
)

const customPrefix = "Custom:"

// Custom returns a reason of the caller's own.
func Custom(name string) NoCacheReason { return NoCacheReason(customPrefix + name) }

// IsCustom reports whether r was made by Custom.
func (r NoCacheReason) IsCustom() bool { return strings.HasPrefix(string(r), customPrefix) }

// String returns the reason's name.
func (r NoCacheReason) String() string { return string(r) }

// HitStatus says how a found entry may be used.
type HitStatus uint8

// The statuses.
const (
	// HitExpired: stale by its own freshness.
	HitExpired HitStatus = iota + 1
	// HitForceExpired: stale because the caller says so, and never to be served stale.
	HitForceExpired
	// HitForceMiss: not to be used at all; fetch anew.
	HitForceMiss
	// HitFailedFilter: the caller's hit filter failed; treated like a miss.
	HitFailedFilter
	// HitFresh: fresh.
	HitFresh
	// HitForceFresh: fresh because the caller says so.
	HitForceFresh
)

// String returns the status's name.
func (s HitStatus) String() string {
	names := [...]string{"", "Expired", "ForceExpired", "ForceMiss", "FailedHitFilter", "Fresh", "ForceFresh"}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("HitStatus(%d)", uint8(s))
	}
	return names[s]
}

// IsFresh reports whether the entry may be served without asking the origin.
func (s HitStatus) IsFresh() bool { return s == HitFresh || s == HitForceFresh }

// IsMiss reports whether the entry is to be treated as if it weren't there.
func (s HitStatus) IsMiss() bool { return s == HitForceMiss || s == HitFailedFilter }

// ForcedFreshness is what a hit filter may decide about an entry. The zero value leaves the decision to the
// entry's own freshness.
type ForcedFreshness uint8

// The decisions.
const (
	// ForceExpired: revalidate; never serve stale.
	ForceExpired ForcedFreshness = iota + 1
	// ForceMiss: fetch anew.
	ForceMiss
	// ForceFresh: serve as fresh.
	ForceFresh
)

// String returns the decision's name.
func (f ForcedFreshness) String() string {
	names := [...]string{"None", "ForceExpired", "ForceMiss", "ForceFresh"}
	if int(f) >= len(names) {
		return fmt.Sprintf("ForcedFreshness(%d)", uint8(f))
	}
	return names[f]
}

// HitStatus returns what f makes of an entry that is fresh or not by itself.
func (f ForcedFreshness) HitStatus(fresh bool) HitStatus {
	switch {
	case f == ForceExpired:
		return HitForceExpired
	case f == ForceMiss:
		return HitForceMiss
	case f == ForceFresh:
		return HitForceFresh
	case fresh:
		return HitFresh
	}
	return HitExpired
}
