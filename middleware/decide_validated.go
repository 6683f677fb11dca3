package middleware

import (
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// decideNotModified freshens the stored response that a 304 names, and serves it (RFC 9111 §4.3.3
// and §4.3.4).
func (x *transaction) decideNotModified(e *rules.Exchange) fate {
	i := rules.SelectForFreshening(e.Header, x.upstream.validators)
	if i < 0 || !x.select304(x.upstream.validators[i]) {
		return x.retryOrPass() // it names no stored response
	}
	x.replyHeader, x.result = e.Header, stats.Revalidated
	fresh, refusal := x.cache.policy.Freshen(x.hc.Meta(), e)
	if refusal != nil {
		x.refuseFreshened(e, fresh, refusal)
		return fateDiscard
	}
	err := x.storeFreshened(fresh)
	switch {
	case err == nil:
		x.status.stored = true
		x.status.setTTL(fresh, x.now)
	case errors.Is(err, cirque.ErrNotFound):
		x.status.detail = notStored(err)
	default:
		x.cache.storageFailed("update", err)
		x.status.detail = "storage-error"
	}
	return fateDiscard
}

// select304 selects the stored response that a 304 names, if the walk does not have it already. It
// returns false if that response is no longer stored: the walk is then at Miss.
func (x *transaction) select304(v cirque.Variant) bool {
	if x.hc.Phase() == cirque.PhaseStale && v.Hash == x.hc.Key().Variance() {
		return true
	}
	meta, hit, err := x.hc.SelectVariant(x.lookupContext(), v.Hash)
	if err != nil {
		x.hc.Miss()
		return false
	}
	if meta.Has(cirque.MetaPartial) || !sameValidators(v, cirque.VariantOf(x.hc.Key(), meta)) {
		// The entry holds only a part, or another response has replaced it since its validators
		// were sent.
		_ = hit.Close()
		x.hc.Miss()
		return false
	}
	x.hc.Found(meta, hit, cirque.HitExpired)
	return true
}

// sameValidators reports whether a 304 that answers a's validators can be about b.
func sameValidators(a, b cirque.Variant) bool {
	return a.ETag == b.ETag && a.LastModified == b.LastModified
}

// refuseFreshened serves a response that a 304 has freshened, although the freshened meta may not
// be stored. If the refusal ends the stored response, that is removed; else it stays as it was.
func (x *transaction) refuseFreshened(e *rules.Exchange, fresh *cirque.CacheMeta, refusal *rules.Refusal) {
	x.status.detail = refusal.Detail
	reason := refusal.Reason
	holdsForWaiters := refusal.ByResponse || x.refusedToCredentials()
	if holdsForWaiters {
		x.hc.ResponseBecameUncacheable(reason)
	}
	if !refusal.Ends {
		// The request of this client is no reason to remove what the others have.
		switch {
		case refusal.ByResponse && !rules.Shareable(x.hc.Meta(), x.now):
			x.hc.ReleaseWriteLock("") // those who wait can still validate it
		case holdsForWaiters:
			x.hc.ReleaseWriteLock(reason)
		}
		reason = cirque.Deferred
	}
	err := x.hc.RevalidateUncacheable(x.flightContext(), fresh, reason)
	if err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("purge", err)
	}
}

// decideHead lets the answer to a HEAD freshen the stored response, or remove it (RFC 9111 §4.3.5).
func (x *transaction) decideHead(a *reply, e *rules.Exchange) fate {
	if x.hc.Phase() != cirque.PhaseStale || a.status != http.StatusOK || x.hc.Meta().StatusCode() != http.StatusOK {
		return x.pass(cirque.OriginNotCache)
	}
	size, known := x.hc.Hit().Size()
	if !known {
		size = -1
	}
	switch rules.CompareHead(x.hc.Meta(), size, a.header) {
	case rules.HeadDiffers:
		x.supersede(e)
		return x.pass(cirque.OriginNotCache)
	case rules.HeadUnknown:
		return x.pass(cirque.OriginNotCache)
	}
	fresh, refusal := x.cache.policy.Freshen(x.hc.Meta(), e)
	if refusal != nil {
		if refusal.Ends && !refusal.ByResponse { // if ByResponse, refuse removes it
			x.supersede(e)
		}
		if refusal.ByResponse && !refusal.Ends {
			return x.pass(cirque.Deferred)
		}
		return x.refuse(e, refusal)
	}
	x.replyHeader, x.result = a.header, stats.Revalidated
	if err := x.storeFreshened(fresh); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("update", err)
	}
	x.status.setTTL(fresh, x.now)
	return fateDiscard
}

// retryOrPass has the origin asked again, without conditions. If that was done before, it passes
// the reply on.
func (x *transaction) retryOrPass() fate {
	if x.upstream.wantUnconditional() {
		return fateRetry
	}
	return x.pass(cirque.UpstreamError)
}
