package middleware

import (
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// reusable decides whether the entry that was found answers the request without asking the origin
// (RFC 9111 §4). If so, it takes the entry. Otherwise the walk is at Stale, with the entry ready to
// be validated; or without an entry, at Miss if Config.HitFilter said so, or at CacheKey if a
// stored part does not suffice.
func (p *planner) reusable(meta *cirque.CacheMeta, hit cirque.HitHandler) bool {
	x := p.transaction
	forced := p.forcedFreshness(meta, hit)
	d := x.cache.policy.Reuse(meta, &x.directives, x.now, forced)
	if x.dry != nil {
		x.dry.decided, x.dry.decision = true, d
	}
	if meta.Has(cirque.MetaPartial) && !x.partSuffices(meta, hit, d) {
		return false
	}
	switch d.Reuse {
	case rules.ReuseFresh:
		x.hc.Found(meta, hit, forced.HitStatus(true))
		x.status.setTTL(meta, x.now)
		x.result = stats.Collapsed
		if x.status.hit = !x.status.collapsed; x.status.hit {
			x.status.fwd, x.result = "", stats.Hit
		}
		return true
	case rules.ReuseStale:
		x.hc.Found(meta, hit, cirque.HitExpired)
		x.hc.StaleUpdating()
		x.servesStale(meta, d.Detail)
		return true
	case rules.ReuseWhileRevalidate:
		if p.servesWhileRevalidated(meta, hit, d.Detail) {
			return true
		}
		d.Detail = "" // it is validated like any stale entry
	default:
		x.hc.Found(meta, hit, forced.HitStatus(false))
	}
	x.status.fwd, x.status.detail = d.Fwd, d.Detail
	x.staleIfError = d.StaleIfError
	if x.precedingFailure == originFailed && d.StaleIfError && x.mayServeStale(meta, 0, errPrecededByFailure) {
		x.servesStale(meta, "stale-if-error")
		return true
	}
	return false
}

// forcedFreshness returns what overrides the entry's own freshness: the word of Config.HitFilter,
// or ForceFresh if the request waited for this response and may share it. It notes in p.unshared
// whether a request that waited may not share it; see noteShareable, which has then released all
// who waited at once.
func (p *planner) forcedFreshness(meta *cirque.CacheMeta, hit cirque.HitHandler) (forced rules.ForcedFreshness) {
	x := p.transaction
	if x.cache.cfg.HitFilter != nil {
		forced = guarded(hit, func() rules.ForcedFreshness { return x.cache.cfg.HitFilter(x.req, meta) })
	}
	if !x.status.collapsed {
		return forced
	}
	p.unshared = forced != 0 || !rules.Shareable(meta, x.now)
	if !p.unshared && !meta.Updated().Before(x.arrived) {
		// RFC 9111 §4 (collapsed requests): the origin answered or validated after this request had
		// come in. So the response is as good as one that was fetched for this request, even if its
		// freshness ended during the wait.
		return rules.ForceFresh
	}
	return forced
}

// servesWhileRevalidated serves a stale entry that is revalidated in the background in the meantime
// (RFC 5861 §3). This request starts the revalidation if it gets the write permit; otherwise
// another request, which has the permit, does it. If no background revalidation is possible, a
// client that accepts a stale answer gets it unvalidated; for another one the walk is at Stale, and
// the client waits.
func (p *planner) servesWhileRevalidated(meta *cirque.CacheMeta, hit cirque.HitHandler, detail string) bool {
	x := p.transaction
	x.hc.Found(meta, hit, cirque.HitExpired)
	if p.validatesItself || IsRefresh(x.client) || x.nested(x.hc.Key().PrimaryHash()) {
		return false // a refresh must bring a new answer, and a nested request is part of a fetch that must
	}
	x.hc.TryLock()
	if x.hc.IsWriter() {
		chain, ok := x.revalidatedBy()
		switch {
		case ok:
			x.hc.StaleUpdating()
			if x.dry == nil {
				x.revalidateInBackground(meta, chain)
			}
			x.servesStale(meta, detail)
			return true
		case !x.acceptsStale(meta):
			p.validatesItself = true
			if !x.wantsLock() {
				x.hc.ReleaseWriteLock("")
			}
			return false
		}
		x.hc.ReleaseWriteLock("")
		detail = "request-max-stale"
	}
	x.hc.StaleUpdating()
	x.servesStale(meta, detail)
	return true
}

// revalidatedBy returns the handler to which a background revalidation is sent; nil at the
// Transport door. ok is false if no background revalidation is possible.
func (x *transaction) revalidatedBy() (chain http.Handler, ok bool) {
	switch {
	case x.door == doorTransport:
		return nil, true
	case x.dry != nil:
		return nil, x.dry.canRefresh(x)
	}
	if x.cache.unreached.remove(x.hc.Key()) {
		return nil, false
	}
	chain = x.cache.revalidationChain(x.req)
	return chain, chain != nil
}

// acceptsStale reports whether the client would take the stale entry rather than wait (RFC 9111
// §5.2.1.2 and §5.2.1.7).
func (x *transaction) acceptsStale(meta *cirque.CacheMeta) bool {
	d := &x.directives
	return d.OnlyIfCached || d.MaxStaleAny || d.MaxStale.Present && meta.Staleness(x.now) <= d.MaxStale.Duration
}

// partSuffices looks at an entry that holds only parts of a representation (RFC 9111 §3.3). It
// returns true if the parts are enough for the request: whether they may be reused is then decided
// as for any entry. Otherwise the walk is at Stale, and the origin can be asked for the missing
// bytes, or at CacheKey.
func (x *transaction) partSuffices(meta *cirque.CacheMeta, hit cirque.HitHandler, d rules.ReuseDecision) bool {
	x.status.fwd = fwdPartial
	held, ok := rules.PartialOf(meta)
	wanted, ranged := x.wantedRange(meta, held)
	switch {
	case !ok, x.req.Method != http.MethodGet, !ranged:
		_ = hit.Close()
		return false
	case held.Covers(wanted):
		return true
	}
	if d.Reuse != rules.ReuseFresh || x.cache.cfg.Ranges != RangesForward || !hit.CanSeek() {
		_ = hit.Close()
		return false
	}
	missing := held.Missing(wanted)
	x.hc.Found(meta, hit, cirque.HitExpired)
	x.upstream.wantMissing(&partFill{
		meta: meta, held: held,
		wanted: rules.ByteRange{Start: missing[0].Start, End: missing[len(missing)-1].End},
	})
	return false
}
