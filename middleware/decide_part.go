package middleware

import (
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// decidePart combines a reply with the stored part, if both are of the same representation (RFC
// 9111 §3.4).
func (x *transaction) decidePart(a *reply, e *rules.Exchange) decision {
	part := x.upstream.part
	if a.status != http.StatusPartialContent {
		x.upstream.wantWhole()
		if a.status == http.StatusRequestedRangeNotSatisfiable || a.status == http.StatusNotModified {
			return decision{x.retryAsMiss(), a.length}
		}
		return x.decideFull(a, e)
	}
	partly := *e // with the request that the origin got
	partly.Request = e.Request.Clone(x.client)
	part.requestMissing(partly.Request.Header)
	meta, got, refusal := x.cache.policy.CombinePartial(part.meta, &partly)
	if refusal != nil && refusal.Ends {
		x.supersede(e)
	}
	if refusal != nil || a.length >= 0 && a.length != got.Len() || !x.satisfiedBy(meta) {
		return decision{x.retryAsMiss(), a.length}
	}
	tag := x.hc.Hit().Tag()
	part.hit, part.reused = x.hc.TakeHit(), &x.flight.reused
	size := part.splice(got)
	x.replyHeader = a.header
	f := guarded(part.hit, func() fate { return x.fill(meta, fillSource{size: size, replaces: tag}) })
	if f != fateFill {
		part.close()
		if x.upstream.wantUnconditional() {
			// The origin was not asked for what the client asked for.
			x.upstream.as, x.upstream.keeps = storeNothing, keepRange
			f = fateRetry
		}
	}
	return decision{f, got.Len()}
}

// satisfiedBy reports whether the bytes that meta lists are all that the request wants. The origin
// may have sent less than it was asked for.
func (x *transaction) satisfiedBy(meta *cirque.CacheMeta) bool {
	held, ok := rules.PartialOf(meta)
	if !ok {
		return !meta.Has(cirque.MetaPartial)
	}
	wanted, ok := x.wantedRange(meta, held)
	return ok && held.Covers(wanted)
}

// retryAsMiss has the origin asked again, as if nothing were stored.
func (x *transaction) retryAsMiss() fate {
	if x.hc.Phase() == cirque.PhaseStale {
		x.hc.Miss()
	}
	f := x.retryOrPass()
	if f == fateRetry && x.req.Header["Range"] != nil {
		x.upstream.keeps = keepRange
	}
	return f
}
