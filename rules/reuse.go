package rules

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// Reuse says how to use a stored response that a request selected.
type Reuse uint8

// The ways to use it.
const (
	// ReuseFresh: serve it; it is fresh.
	ReuseFresh Reuse = iota + 1
	// ReuseStale: serve it; it is stale, and the request accepts that (RFC 9111 §5.2.1.2).
	ReuseStale
	// ReuseWhileRevalidate: serve it stale and revalidate it in the background (RFC 5861 §3).
	ReuseWhileRevalidate
	// ReuseValidate: validate it at the origin before anything is served.
	ReuseValidate
)

// String returns the name of r.
func (r Reuse) String() string {
	switch r {
	case ReuseFresh:
		return "Fresh"
	case ReuseStale:
		return "Stale"
	case ReuseWhileRevalidate:
		return "WhileRevalidate"
	case ReuseValidate:
		return "Validate"
	}
	return "Reuse(?)"
}

// ReuseDecision is a Reuse with its reasons.
type ReuseDecision struct {
	Reuse Reuse

	// StaleIfError reports that the stored response may be served if the origin fails (RFC 5861
	// §4).
	StaleIfError bool

	// Fwd is the fwd parameter of Cache-Status if the request is forwarded (RFC 9211 §2.2):
	// "stale"; "request" if the response is fresh and the request does not allow its use; "miss" if
	// the response counts as not found. It is empty if the request is answered without the origin.
	Fwd string

	// Detail is a token that names the directive or decision behind Reuse. It is empty if freshness
	// alone decided.
	Detail string
}

// StaleMayStandInFor reports whether a stale response may stand in for an answer with this status
// (RFC 5861 §4). It may also stand in for no answer at all.
func StaleMayStandInFor(status int) bool {
	switch status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Reuse decides how the stored response that meta describes may answer a request (RFC 9111 §4). rd
// holds the request's directives, nil for none. forced is a hit filter's decision: ForceFresh
// overrides everything; ForceExpired and ForceMiss require validation and forbid serving stale.
//
// The caller must have checked that the stored response matches the request in method, URI and the
// fields of Vary.
func (p *Policy) Reuse(meta *cirque.CacheMeta, rd *RequestDirectives, now time.Time, forced ForcedFreshness) ReuseDecision {
	switch forced {
	case ForceFresh:
		return ReuseDecision{Reuse: ReuseFresh, Detail: "forced"}
	case ForceExpired:
		return ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "forced"}
	case ForceMiss:
		return ReuseDecision{Reuse: ReuseValidate, Fwd: "miss", Detail: "forced"}
	}
	if rd != nil && rd.Present {
		return reuseAsAsked(meta, rd, now)
	}
	return reuse(meta, now)
}

// Shareable reports whether requests that were waiting when the header of the stored response came
// may share it at now. RFC 9111 §4 lets requests be collapsed only if each may reuse the response.
// A response that must be validated first (no-cache, or no lifetime) is only for the request that
// it answers. If the lifetime ended while the requests waited, they still share it, unless the
// response must not be served stale (§4.2.4).
func Shareable(meta *cirque.CacheMeta, now time.Time) bool {
	granted := meta.IsFresh(meta.Updated()) || meta.Has(cirque.MetaDelayed)
	return granted && !meta.Has(cirque.MetaNoCache) && (meta.IsFresh(now) || !meta.Has(cirque.MetaNoStale))
}

// reuse decides by what the response itself allows.
func reuse(meta *cirque.CacheMeta, now time.Time) ReuseDecision {
	switch {
	case meta.Has(cirque.MetaNoCache):
		return ReuseDecision{Reuse: ReuseValidate, Fwd: "stale", Detail: "no-cache"} // RFC 9111 §5.2.2.4
	case meta.IsFresh(now):
		return ReuseDecision{Reuse: ReuseFresh} // RFC 9111 §4.2
	case meta.ServeStaleWhileRevalidate(now):
		return ReuseDecision{
			Reuse:        ReuseWhileRevalidate, // RFC 5861 §3
			StaleIfError: meta.ServeStaleIfError(now),
			Fwd:          "stale",
			Detail:       "stale-while-revalidate",
		}
	}
	return ReuseDecision{Reuse: ReuseValidate, StaleIfError: meta.ServeStaleIfError(now), Fwd: "stale"}
}

// reuseAsAsked decides by the request's directives too (RFC 9111 §5.2.1).
func reuseAsAsked(meta *cirque.CacheMeta, rd *RequestDirectives, now time.Time) ReuseDecision {
	decision := reuse(meta, now)
	fresh := decision.Reuse == ReuseFresh
	mayBeStale := !meta.Has(cirque.MetaNoCache) && !meta.Has(cirque.MetaNoStale) // RFC 9111 §4.2.4
	staleness := meta.Staleness(now)

	window := rd.StaleIfError.Duration
	if !rd.NoCache { // with no-cache only the request's own stale-if-error counts
		window = max(window, meta.StaleIfError())
	}
	decision.StaleIfError = mayBeStale && window > 0 && staleness < window // RFC 5861 §4

	switch {
	case rd.NoCache: // RFC 9111 §5.2.1.4; immutable gives way to it (RFC 8246 §2.1)
		return decision.validate(fresh, "request-no-cache")
	case rd.MaxAge.Present && !youngEnough(meta, rd.MaxAge.Duration, now) && !(fresh && meta.Has(cirque.MetaImmutable)):
		return decision.validate(fresh, "request-max-age") // RFC 9111 §5.2.1.1, RFC 8246 §2
	case rd.MinFresh.Present && -staleness < rd.MinFresh.Duration:
		return decision.validate(fresh, "request-min-fresh") // RFC 9111 §5.2.1.3
	case fresh:
		return decision
	case mayBeStale && (rd.MaxStaleAny || rd.MaxStale.Present && staleness <= rd.MaxStale.Duration):
		if decision.Reuse != ReuseWhileRevalidate { // else it is also revalidated in the background
			// RFC 9111 §5.2.1.2
			decision.Reuse, decision.Fwd, decision.Detail = ReuseStale, "", "request-max-stale"
		}
		return decision
	case rd.MaxAge.Present && decision.Reuse == ReuseWhileRevalidate:
		// RFC 9111 §5.2.1.1: without max-stale nothing stale
		return decision.validate(false, "request-max-age")
	}
	return decision
}

// validate changes the decision to ReuseValidate. fresh says whether the response is fresh.
func (d ReuseDecision) validate(fresh bool, detail string) ReuseDecision {
	d.Reuse, d.Fwd, d.Detail = ReuseValidate, "stale", detail
	if fresh {
		d.Fwd = "request"
	}
	return d
}

// youngEnough reports whether the response's age is within a request's max-age. A max-age of zero
// requires validation at any age, because clients send it for that purpose.
func youngEnough(meta *cirque.CacheMeta, maxAge time.Duration, now time.Time) bool {
	return maxAge > 0 && meta.Age(now) <= maxAge
}

// ForcedFreshness is a hit filter's decision about an entry. With the zero value the entry's own
// freshness decides.
type ForcedFreshness uint8

// The decisions.
const (
	// ForceExpired: revalidate; never serve stale.
	ForceExpired ForcedFreshness = iota + 1
	// ForceMiss: fetch it again.
	ForceMiss
	// ForceFresh: serve as fresh.
	ForceFresh
)

// HitStatus returns the status of an entry under f; fresh is the entry's own freshness.
func (f ForcedFreshness) HitStatus(fresh bool) cirque.HitStatus {
	switch {
	case f == ForceExpired:
		return cirque.HitForceExpired
	case f == ForceMiss:
		return cirque.HitForceMiss
	case f == ForceFresh:
		return cirque.HitForceFresh
	case fresh:
		return cirque.HitFresh
	}
	return cirque.HitExpired
}
