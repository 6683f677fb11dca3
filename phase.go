package cirque

import (
	"fmt"
	"strings"
)

// CachePhase is where a walk stands.
type CachePhase uint8

// The phases. The zero value is PhaseDisabled.
const (
	// PhaseDisabled: the cache is not used; HttpCache.NoCacheReason says why.
	PhaseDisabled CachePhase = iota
	// PhaseUninit: the cache is enabled and has no key yet.
	PhaseUninit
	// PhaseBypass: nothing is looked up, but the response may be stored, and then replaces the
	// entry.
	PhaseBypass
	// PhaseCacheKey: the key is set, and no entry is taken: nothing was looked up yet, Found was
	// not called yet, or a wait for the lock has ended.
	PhaseCacheKey
	// PhaseHit: a fresh response was found.
	PhaseHit
	// PhaseMiss: nothing usable was found.
	PhaseMiss
	// PhaseStale: a stale response was found. It is being revalidated, or is served instead of an
	// error.
	PhaseStale
	// PhaseStaleUpdating: a stale response is served while another request revalidates it.
	PhaseStaleUpdating
	// PhaseExpired: a stale response was found and is being replaced by a full answer.
	PhaseExpired
	// PhaseRevalidated: a stale response was validated by a 304 and is served.
	PhaseRevalidated
	// PhaseRevalidatedNoCache: a stale response was validated and is served, but may no longer be
	// stored.
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

// NoCacheReason says why a response is not cached. The zero value means that it is cached.
type NoCacheReason string

// The reasons.
const (
	// NeverEnabled: the cache was not enabled for this request.
	NeverEnabled NoCacheReason = "NeverEnabled"
	// OriginNotCache: RFC 9111 §3 does not allow the response to be stored. It also releases all
	// waiters, so callers give it for other causes that would keep them waiting in turn: a response
	// that they may not share, no place for a fill, a second failure in a row.
	OriginNotCache NoCacheReason = "OriginNotCache"
	// ResponseTooLarge: the body exceeded the maximum size.
	ResponseTooLarge NoCacheReason = "ResponseTooLarge"
	// PredictedResponseTooLarge: Content-Length announced a body above the maximum size.
	PredictedResponseTooLarge NoCacheReason = "PredictedResponseTooLarge"
	// StorageError: the Storage failed.
	StorageError NoCacheReason = "StorageError"
	// InternalError: the cache itself failed.
	InternalError NoCacheReason = "InternalError"
	// Deferred: the cache is not used this time, and that says nothing about the next response: it
	// was not decided whether the response is cacheable, a purge voided it, or a more recent one
	// came first.
	Deferred NoCacheReason = "Deferred"
	// DeclinedToUpstream: the proxy chose to answer without a request to the origin.
	DeclinedToUpstream NoCacheReason = "DeclinedToUpstream"
	// UpstreamError: the origin could not be reached, or its response broke off.
	UpstreamError NoCacheReason = "UpstreamError"
	// CacheLockGiveUp: the writer that this request waited for found the response uncacheable, or
	// not to be shared.
	CacheLockGiveUp NoCacheReason = "CacheLockGiveUp"
	// CacheLockTimeout: this request waited for another's fill until its timeout.
	CacheLockTimeout NoCacheReason = "CacheLockTimeout"
)

const customPrefix = "Custom:"

// Custom returns a reason that the caller defines.
func Custom(name string) NoCacheReason { return NoCacheReason(customPrefix + name) }

// IsCustom reports whether r was made by Custom.
func (r NoCacheReason) IsCustom() bool { return strings.HasPrefix(string(r), customPrefix) }

// HitStatus says how a found entry may be used.
type HitStatus uint8

// The statuses.
const (
	// HitExpired: to be validated or completed before use: stale by its own freshness lifetime, a
	// part of which bytes are missing, or a variant that a 304 has selected.
	HitExpired HitStatus = iota + 1
	// HitForceExpired: stale because the caller says so; it must not be served stale.
	HitForceExpired
	// HitForceMiss: it must not be used at all; fetch it again.
	HitForceMiss
	// HitFailedFilter: the caller's hit filter failed; treated like a miss.
	HitFailedFilter
	// HitFresh: fresh by its own freshness lifetime.
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

// isFresh reports whether the entry may be served without a request to the origin.
func (s HitStatus) isFresh() bool { return s == HitFresh || s == HitForceFresh }

// isMiss reports whether the entry must be treated as absent.
func (s HitStatus) isMiss() bool { return s == HitForceMiss || s == HitFailedFilter }
