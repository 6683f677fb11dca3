package middleware

import (
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// decideFull begins to store a reply that is complete in itself, or passes it on (RFC 9111 §3).
func (x *transaction) decideFull(a *reply, e *rules.Exchange) decision {
	meta, length, refusal := x.storable(a, e)
	switch {
	case refusal != nil:
		return decision{x.refuse(e, refusal), length}
	case x.hc.ExceedsMaxObject(length) || !x.cache.holds(x.hc.Key(), meta, length):
		return decision{x.tooLarge(e), length}
	}
	x.replyHeader = a.header
	return decision{x.fill(meta, fillSource{size: length}), length}
}

// storable applies the rules and Config.ResponseFilter. It also returns the length of the body.
func (x *transaction) storable(a *reply, e *rules.Exchange) (meta *cirque.CacheMeta, length int64, refusal *rules.Refusal) {
	length = a.length
	policy := x.cache.policy
	switch {
	case x.upstream.as == storePost:
		meta, refusal = policy.StorePost(e)
	case a.status == http.StatusPartialContent && x.upstream.keeps != keepNone && x.cache.cfg.Ranges == RangesForward:
		var got rules.ByteRange
		if meta, got, refusal = policy.StorePartial(e); refusal == nil {
			length = got.Len() // even if there is no Content-Length
		}
	default:
		meta, refusal = policy.Store(e)
	}
	if refusal == nil && x.cache.cfg.ResponseFilter != nil {
		if reason := x.cache.cfg.ResponseFilter(x.req, a.status, a.header); reason != "" {
			refusal = &rules.Refusal{Reason: reason, Detail: "response-filter", ByResponse: true}
		}
	}
	return meta, length, refusal
}

// tooLarge passes on a reply whose body is announced to be too large for the Storage. If the client
// wants only a part of it, and the cache wanted the whole, the origin is asked again, for that
// part. StartFill makes the same check for its other callers, and for a part whose combined body is
// too large; its reason is ResponseTooLarge, because the client then reads the body from the fill.
func (x *transaction) tooLarge(e *rules.Exchange) fate {
	x.status.detail = "too-large"
	if x.upstream.as == storePost {
		return x.pass(cirque.PredictedResponseTooLarge)
	}
	x.hc.ResponseBecameUncacheable(cirque.ResponseTooLarge)
	if x.hc.HitStatus() != 0 {
		x.supersede(e)
	}
	if x.req.Header["Range"] != nil && x.upstream.keeps == keepNone && x.upstream.wantUnconditional() {
		// The client wants a part of a body that is too large to be fetched whole for the cache.
		x.upstream.wantAsClient()
		x.hc.Disable(cirque.PredictedResponseTooLarge)
		return fateRetry
	}
	return x.pass(cirque.PredictedResponseTooLarge)
}

// refuse passes on a reply that may not be stored. If the reply replaces what is stored, refuse
// also removes that. It does not for the reply to a POST, a 5xx, a 304, 206 or 416, or if this
// request caused the refusal.
func (x *transaction) refuse(e *rules.Exchange, refusal *rules.Refusal) fate {
	x.status.detail = refusal.Detail
	switch {
	case x.upstream.as == storePost:
		return x.pass(refusal.Reason) // this says nothing about the answer to a GET
	case rules.StaleMayStandInFor(e.Status):
		return x.pass(x.failureReason(cirque.UpstreamError))
	case e.Status == http.StatusNotModified, e.Status == http.StatusPartialContent, e.Status == http.StatusRequestedRangeNotSatisfiable:
		return x.pass(cirque.Deferred) // it answers conditions or a range, and says nothing about the whole
	case refusal.ByResponse:
		x.hc.ResponseBecameUncacheable(refusal.Reason)
		if e.Status < 500 && x.hc.HitStatus() != 0 {
			// RFC 9111 §4: the most recent response is used. An error of the server says nothing
			// about the resource.
			x.supersede(e)
		}
		return x.pass(refusal.Reason)
	case x.refusedToCredentials():
		// This also holds for other requests with credentials, which wait and predict among
		// themselves.
		x.hc.ResponseBecameUncacheable(refusal.Reason)
		return x.pass(refusal.Reason)
	}
	return x.pass(cirque.Deferred) // this request was the cause; the others get the permit in turn
}

// refusedToCredentials reports whether a refusal that is not ByResponse holds for other requests
// with Authorization too. It does not if the cause is no-store in this request.
func (x *transaction) refusedToCredentials() bool {
	return x.req.Header["Authorization"] != nil && !x.directives.NoStore
}
