package middleware

import (
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// reusable decides whether what was found answers the request without asking the origin (RFC 9111
// §4), and takes it if so. Otherwise the walk stands at Stale, with the entry at hand to be
// validated, or at CacheKey, with nothing.
func (p *planner) reusable(meta *cirque.CacheMeta, hit cirque.HitHandler) bool {
	x := p.transaction
	var forced cirque.ForcedFreshness
	if x.cache.cfg.HitFilter != nil {
		forced = guarded(hit, func() cirque.ForcedFreshness { return x.cache.cfg.HitFilter(x.req, meta) })
	}
	if x.status.collapsed {
		p.unshared = forced != 0 || !rules.Shareable(meta, x.now)
		if !p.unshared && !meta.Updated().Before(x.arrived) {
			// RFC 9111 §4 (collapsed requests): the origin answered, or validated, after this
			// request had come in. That is as good as having asked it for this request, though the
			// wait may have outlasted the freshness.
			forced = cirque.ForceFresh
		}
	}
	d := x.cache.policy.Reuse(meta, &x.directives, x.now, forced)
	if meta.Has(cirque.MetaPartial) && !x.partSuffices(meta, hit, d) {
		return false
	}
	switch d.Reuse {
	case rules.ReuseFresh:
		x.hc.Found(meta, hit, forced.HitStatus(true))
		x.status.setTTL(meta, x.now)
		x.status.hit = !x.status.collapsed
		if x.status.hit {
			x.status.fwd = ""
		}
		return true
	case rules.ReuseStale:
		x.hc.Found(meta, hit, cirque.HitExpired)
		x.hc.StaleUpdating()
		x.status.stale(meta, x.now, d.Detail)
		return true
	case rules.ReuseWhileRevalidate:
		if p.servesWhileRevalidated(meta, hit, d.Detail) {
			return true
		}
		d.Detail = "" // it is validated as any stale entry is
	default:
		x.hc.Found(meta, hit, forced.HitStatus(false))
	}
	x.status.fwd, x.status.detail = d.Fwd, d.Detail
	x.staleIfError = d.StaleIfError
	if x.preceded == originFailed && d.StaleIfError && x.mayServeStale(meta, 0, errPrecededByFailure) {
		x.status.stale(meta, x.now, "stale-if-error")
		return true
	}
	return false
}

// servesWhileRevalidated takes a stale entry as the answer if it is revalidated meanwhile, in the
// background (RFC 5861 §3): by this request if it gets the write permit, or by another that has it.
// Where nobody can revalidate it in the background, the walk stands at Stale and the client waits.
func (p *planner) servesWhileRevalidated(meta *cirque.CacheMeta, hit cirque.HitHandler, detail string) bool {
	x := p.transaction
	x.hc.Found(meta, hit, cirque.HitExpired)
	if p.validatesItself || IsRefresh(x.client) || x.nested(x.hc.Key().PrimaryHash()) {
		return false // of the latter two no client waits, and what they bring has to be new
	}
	x.hc.TryLock()
	if x.hc.IsWriter() {
		chain, ok := x.revalidatedBy()
		switch {
		case ok:
			x.hc.StaleUpdating()
			x.revalidateInBackground(meta, chain)
			x.status.stale(meta, x.now, detail)
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
	x.status.stale(meta, x.now, detail)
	return true
}

// revalidatedBy returns the handler that a revalidation in the background goes through; nil at the
// Transport door. It reports false where there can be no such revalidation.
func (x *transaction) revalidatedBy() (chain http.Handler, ok bool) {
	if x.door == doorTransport {
		return nil, true
	}
	if x.cache.unreached.remove(x.hc.Key()) {
		return nil, false
	}
	chain = x.cache.surroundings(x.req)
	return chain, chain != nil
}

// acceptsStale reports whether the client itself prefers the stale entry to waiting (RFC 9111
// §5.2.1.2 and §5.2.1.7).
func (x *transaction) acceptsStale(meta *cirque.CacheMeta) bool {
	d := &x.directives
	return d.OnlyIfCached || d.MaxStaleAny || d.MaxStale.Present && meta.Staleness(x.now) <= d.MaxStale.Duration
}

// partSuffices takes an entry that holds only parts of a representation (RFC 9111 §3.3). It reports
// true if they suffice for the request, whose reuse is then decided as for any entry. Otherwise the
// walk stands at Stale, and the missing bytes can be asked for, or at CacheKey.
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
	x.upstream.complete(&partFill{
		meta: meta, held: held,
		wanted: rules.ByteRange{Start: missing[0].Start, End: missing[len(missing)-1].End},
	})
	return false
}
