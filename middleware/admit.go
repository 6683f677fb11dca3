package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// answerHead is what the origin said before the body.
type answerHead struct {
	status  int
	header  http.Header
	length  int64    // of the body, from Content-Length; negative where unknown
	decoded bool     // the transport took a content coding away
	changed []string // request fields that were added or replaced below the cache
}

// verdict says what becomes of the origin's answer.
type verdict uint8

const (
	verdictPass  verdict = iota + 1 // it goes to the client as it is, and nowhere else
	verdictFill                     // its body goes into x.flight's fill, and the client reads from there
	verdictServe                    // a stored response is the answer; its body is of no use
	verdictRetry                    // ask again, x.upstream says what
)

// admit decides about an answer of the origin. Whatever the verdict but verdictRetry, the walk
// then holds no lock that outlives the flight.
func (x *exchange) admit(a *answerHead) verdict {
	x.now = time.Now()
	e := &rules.Exchange{
		Request: x.presented(x.sent()), Status: a.status, Header: a.header,
		RequestTime: x.asked, ResponseTime: x.now, Decoded: a.decoded, Stripped: x.stripped, Changed: a.changed,
	}
	if x.cache.keyedByCredentials() {
		e.Keyed = credentialFields[:]
	}
	x.got = e
	own := x.invalidate(a)
	if x.noStore {
		return verdictPass
	}
	if x.post != nil {
		// The walk begins here: what this very answer made invalid is not held against storing it.
		x.hc.Reset()
		x.enable(x.post.key)
		x.hc.Bypass()
		if x.post.purges() > own {
			x.status.detail = "purged"
			return x.passOn(cirque.Deferred)
		}
	}
	x.hc.SetPurgeEpoch(x.epoch)
	x.status.fwdStatus = a.status
	stale := x.hc.Phase() == cirque.PhaseStale
	switch {
	case x.part != nil:
		return x.admitPart(a, e)
	case a.status == http.StatusNotModified && len(x.validators) > 0:
		return x.admitNotModified(e)
	case stale && x.standsInFor(a.status, nil):
		return verdictServe
	case x.sent().Method == http.MethodHead:
		return x.admitHead(a, e)
	}
	return x.admitFull(a, e)
}

// admitFull stores a full answer, or passes it on (RFC 9111 §3).
func (x *exchange) admitFull(a *answerHead, e *rules.Exchange) verdict {
	meta, refusal := x.storable(a, e)
	if refusal != nil {
		return x.refuse(a, refusal)
	}
	if x.hc.ExceedsMaxObject(a.length) || !x.cache.holds(x.hc.Key(), meta, a.length) {
		x.status.detail = "too-large"
		if x.post != nil {
			return x.passOn(cirque.PredictedResponseTooLarge)
		}
		x.hc.ResponseBecameUncacheable(cirque.ResponseTooLarge)
		if x.hc.HitStatus() != 0 {
			x.supersede()
		}
		if x.req.Header["Range"] != nil && !x.keepRange && x.retry() {
			// The client wants a part of what is too large to be fetched whole for the cache's
			// sake.
			x.keepRange, x.asIs, x.noStore = true, true, true
			x.hc.Disable(cirque.PredictedResponseTooLarge)
			return verdictRetry
		}
		return x.passOn(cirque.PredictedResponseTooLarge)
	}
	x.own = a.header
	return x.fill(meta, fillSource{size: a.length})
}

// bookkeeping is what a Storage takes beside a response that is being written, with its vary
// record, in bytes. It is rather too much than too little.
const bookkeeping = 1536

// holds reports whether the Storage, were it empty, would hold a response whose body has this
// length; negative where that is not known.
func (c *Cache) holds(key cirque.CacheKey, meta *cirque.CacheMeta, length int64) bool {
	const copied = 4 << 10 // up to which length a body is in memory twice for a moment
	if length <= copied {
		length *= 2
	}
	about := 2 * int64(len(key.Primary())+meta.MetaSize())
	limit := cirque.StorageLimit(c.opts.Storage)
	return limit <= 0 || max(length, 0)+about+bookkeeping <= limit
}

// storable applies the rules and the response filter.
func (x *exchange) storable(a *answerHead, e *rules.Exchange) (*cirque.CacheMeta, *rules.Refusal) {
	var meta *cirque.CacheMeta
	var refusal *rules.Refusal
	switch {
	case x.post != nil:
		meta, refusal = x.cache.policy.StorePost(e)
	case a.status == http.StatusPartialContent && x.keepRange && x.cache.cfg.Ranges == RangesForward:
		meta, refusal = x.storablePart(a, e)
	default:
		meta, refusal = x.cache.policy.Store(e)
	}
	if refusal == nil && x.cache.cfg.ResponseFilter != nil {
		if reason := x.cache.cfg.ResponseFilter(x.req, a.status, a.header); reason != "" {
			refusal = &rules.Refusal{Reason: reason, Detail: "response-filter", ByResponse: true}
		}
	}
	return meta, refusal
}

// refuse passes on what may not be stored, and ends the life of what it replaces.
func (x *exchange) refuse(a *answerHead, refusal *rules.Refusal) verdict {
	x.status.detail = refusal.Detail
	if x.post != nil {
		return x.passOn(refusal.Reason) // and no news about what a GET would bring
	}
	if rules.StaleMayStandInFor(a.status) {
		return x.passOn(x.failed(cirque.UpstreamError))
	}
	if a.status == http.StatusNotModified || a.status == http.StatusPartialContent || a.status == http.StatusRequestedRangeNotSatisfiable {
		return x.passOn(cirque.Deferred) // an answer to this client's conditions or range, which is no news about the whole
	}
	if refusal.ByResponse {
		x.hc.ResponseBecameUncacheable(refusal.Reason)
		if a.status < 500 && x.hc.HitStatus() != 0 {
			// RFC 9111 §4: the most recent response counts. An error of the server is not news
			// about the resource.
			x.supersede()
		}
		return x.passOn(refusal.Reason)
	}
	if x.refusedToCredentials() {
		// News for those who send credentials too, who wait and predict among themselves.
		x.hc.ResponseBecameUncacheable(refusal.Reason)
		return x.passOn(refusal.Reason)
	}
	// This request was the cause; the others take their turn.
	return x.passOn(cirque.Deferred)
}

// refusedToCredentials reports whether a refusal that is not ByResponse is news for other requests
// with Authorization. It is not where this request's own no-store is the cause.
func (x *exchange) refusedToCredentials() bool {
	return x.req.Header["Authorization"] != nil && !x.rd.NoStore
}

func (x *exchange) supersede() {
	if err := x.hc.Supersede(x.flightContext(), x.got.Recency()); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("purge", err)
	}
}

// passOn gives the answer to the client alone.
func (x *exchange) passOn(reason cirque.NoCacheReason) verdict {
	if x.hc.Enabled() {
		x.hc.Disable(reason)
	}
	return verdictPass
}

// fillSource describes the body of a fill.
type fillSource struct {
	size     int64      // negative where unknown
	replaces cirque.Tag // the entry it is built upon
}

// fill begins to store the answer.
func (x *exchange) fill(meta *cirque.CacheMeta, src fillSource) verdict {
	c := x.cache
	if !x.flight.claim() {
		x.status.detail = "closing"
		return x.passOn(cirque.Deferred)
	}
	if !c.fills.take(x.flight, x) {
		// Those who wait go to the origin at once, all together: each in their turn would find no
		// place either.
		x.status.detail = "too-many-fills"
		return x.passOn(cirque.OriginNotCache)
	}
	begun := false
	defer func() {
		if !begun { // a hook or the Storage may have panicked
			c.fills.release(x.flight)
		}
	}()
	x.setGroups(meta)
	unshared := !x.remember(meta)
	x.hc.SetMeta(meta)
	fields, _ := cirque.VaryFields(http.Header{"Vary": meta.Header().Values("Vary")})
	x.hc.UpdateVariance(x.flight.ctx, fields, x.req.Header, x.varianceHook())
	fill, err := x.hc.StartFill(x.flight.ctx, cirque.FillOptions{
		Reader: x.readerContext(), SizeHint: src.size, Replaces: src.replaces, Cost: x.now.Sub(x.asked),
		LastTurn: x.waitedFor, Unshared: unshared,
	})
	if err != nil {
		if errors.Is(err, cirque.ErrPurged) {
			// No failure, which a second one in a row would make one too many: as long as the purge
			// lasts, it is one fetch after the other.
			x.status.detail = "purged"
			return x.passOn(cirque.Deferred)
		}
		c.storageFailed("miss", err)
		x.status.detail = "storage-error"
		return x.passOn(x.failed(cirque.StorageError))
	}
	begun = true
	x.flight.begin(fill)
	switch fill.NoCacheReason() {
	case "":
		x.status.stored = true
		x.status.setTTL(meta, x.now)
	case cirque.ResponseTooLarge:
		x.status.detail = "too-large"
	case cirque.StorageError:
		c.storageFailed("miss", fill.Err())
		x.status.detail = "storage-error"
	default:
		x.status.detail = notStored(fill.Err())
	}
	return verdictFill
}

// remember reports whether those who wait for meta's response may share it, or have it while it is
// revalidated (RFC 5861 §3). If not, because it must be validated before each use, it sees to it
// that the next requests do not queue.
func (x *exchange) remember(meta *cirque.CacheMeta) (shared bool) {
	shared = rules.Shareable(meta, x.now) || meta.ServeStaleWhileRevalidate(x.now)
	if !shared && x.post == nil { // a POST's answer says nothing about the lock of GETs
		x.hc.ResponseBecameUncacheable(cirque.OriginNotCache)
	}
	return shared
}

// complete ends the fill, whose body has come whole. Where that was for nothing the fill is left
// for the caller to abort.
func (x *exchange) complete(trailer http.Header) {
	x.flight.turn(true)
	fill := x.flight.fill.Load()
	if x.flight.ctx.Err() != nil || x.part != nil && x.part.append(fill) != nil {
		return
	}
	if trailer["Set-Cookie"] != nil {
		// All who read along get the trailer. A cookie has no place in it (RFC 9110 §6.5.1).
		trailer = trailer.Clone()
		delete(trailer, "Set-Cookie")
	}
	x.flight.setTrailer(trailer)
	err := fill.Finish()
	if err != nil && !errors.Is(err, cirque.ErrUnlinked) && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("finish", err)
	}
}

// freshen merges an answer that validates the stale entry into its meta.
func (x *exchange) freshen(e *rules.Exchange) (*cirque.CacheMeta, *rules.Refusal) {
	fresh, refusal := x.cache.policy.Freshen(x.hc.Meta(), e)
	x.setGroups(fresh)
	return fresh, refusal
}

// freshened stores the meta that freshen returned, and lets those go who wait for it.
func (x *exchange) freshened(fresh *cirque.CacheMeta) error {
	if x.remember(fresh) { // before they are let go: nobody is to queue behind them
		x.hc.ResponseBecameCacheable()
	}
	return x.hc.Revalidate(x.flightContext(), fresh)
}

// setGroups notes which groups of the origin, as clients know it, the response is in.
func (x *exchange) setGroups(meta *cirque.CacheMeta) {
	if meta.Header().Has("Cache-Groups") {
		meta.SetGroups(x.target.origin())
	}
}

// notStored says in a token why a response that might be stored was not.
func notStored(err error) string {
	if errors.Is(err, cirque.ErrSuperseded) {
		return "superseded"
	}
	return "purged"
}

// readerContext is the context in which the client reads the fill; nil where there is no client.
func (x *exchange) readerContext() context.Context {
	if x.background {
		return nil
	}
	return x.client
}

// readingContext is the context in which what is stored is read for an answer. A client who has
// left does not keep the answer from the others.
func (x *exchange) readingContext() context.Context {
	if x.client.Err() != nil {
		return context.WithoutCancel(x.client)
	}
	return x.client
}

func (x *exchange) flightContext() context.Context {
	if x.flight != nil {
		return x.flight.ctx
	}
	return context.WithoutCancel(x.client)
}

// admitNotModified freshens the stored response that a 304 names, and serves it (RFC 9111 §4.3.3
// and §4.3.4).
func (x *exchange) admitNotModified(e *rules.Exchange) verdict {
	i := rules.SelectForFreshening(e.Header, x.validators)
	if i < 0 {
		// It names none that is stored: it can be used for nothing.
		return x.again()
	}
	if selected := x.validators[i].Hash; x.hc.Phase() != cirque.PhaseStale || selected != x.hc.Key().Variance() {
		meta, hit, err := x.hc.SelectVariant(x.readingContext(), selected)
		if err == nil && (meta.Has(cirque.MetaPartial) || !sameValidators(x.validators[i], cirque.VariantOf(x.hc.Key(), meta))) {
			// It is but a part, or another response has taken its place since its validators were
			// sent.
			_ = hit.Close()
			err = cirque.ErrNotFound
		}
		if err != nil {
			x.hc.Miss()
			return x.again()
		}
		x.hc.Found(meta, hit, cirque.HitExpired)
	}
	x.own = e.Header
	fresh, refusal := x.freshen(e)
	if refusal != nil {
		x.status.detail = refusal.Detail
		reason := refusal.Reason
		alike := refusal.ByResponse || x.refusedToCredentials() // those who wait would fare no better
		if alike {
			x.hc.ResponseBecameUncacheable(reason)
		}
		if !refusal.Ends {
			// This client's wishes are no reason to take from the others what they have.
			switch {
			case refusal.ByResponse && !rules.Shareable(x.hc.Meta(), x.now):
				x.hc.ReleaseWriteLock("") // it is still there for each of those who wait to validate
			case alike:
				x.hc.ReleaseWriteLock(reason)
			}
			reason = cirque.Deferred
		}
		if err := x.hc.RevalidateUncacheable(x.flightContext(), fresh, reason); err != nil && !errors.Is(err, cirque.ErrNotFound) {
			x.cache.storageFailed("purge", err)
		}
		return verdictServe
	}
	err := x.freshened(fresh)
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
	return verdictServe
}

// sameValidators reports whether a 304 to a's validators can be about b.
func sameValidators(a, b cirque.Variant) bool {
	return a.ETag == b.ETag && a.LastModified == b.LastModified
}

// again asks the origin once more, without conditions.
func (x *exchange) again() verdict {
	if x.retry() {
		return verdictRetry
	}
	return x.passOn(cirque.UpstreamError)
}

// admitHead lets the answer to a HEAD freshen the stored response, or ends that one's life (RFC
// 9111 §4.3.5).
func (x *exchange) admitHead(a *answerHead, e *rules.Exchange) verdict {
	if x.hc.Phase() != cirque.PhaseStale {
		return x.passOn(cirque.OriginNotCache)
	}
	if a.status != http.StatusOK || x.hc.Meta().StatusCode() != http.StatusOK {
		return x.passOn(cirque.OriginNotCache)
	}
	size, known := x.hc.Hit().Size()
	if !known {
		size = -1
	}
	switch rules.CompareHead(x.hc.Meta(), size, a.header) {
	case rules.HeadDiffers:
		x.supersede()
		return x.passOn(cirque.OriginNotCache)
	case rules.HeadUnknown:
		return x.passOn(cirque.OriginNotCache)
	}
	fresh, refusal := x.freshen(e)
	if refusal != nil {
		if refusal.Ends && !refusal.ByResponse { // refuse sees to the rest
			x.supersede()
		}
		if refusal.ByResponse && !refusal.Ends {
			return x.passOn(cirque.Deferred)
		}
		return x.refuse(a, refusal)
	}
	x.own = a.header
	if err := x.freshened(fresh); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("update", err)
	}
	x.status.setTTL(fresh, x.now)
	return verdictServe
}

// standsInFor reports whether the stale entry is served in place of an error, and takes the
// decision if so.
func (x *exchange) standsInFor(status int, err error) bool {
	if err == nil && !rules.StaleMayStandInFor(status) {
		return false
	}
	if x.hc.Phase() != cirque.PhaseStale || !x.stale.StaleIfError || !x.mayServeStale(x.hc.Meta(), status, err) {
		return false
	}
	// Those who wait meet the same origin; they find the same entry, and need not ask again.
	x.hc.ReleaseWriteLock(cirque.UpstreamError)
	x.status.setTTL(x.hc.Meta(), x.now)
	x.status.detail = "stale-if-error"
	return true
}

func (x *exchange) mayServeStale(meta *cirque.CacheMeta, status int, err error) bool {
	return x.cache.cfg.ServeStale == nil || x.cache.cfg.ServeStale(x.req, meta, status, err)
}

// fail takes an origin that could not be asked or broke off before its header. It reports whether a
// stale entry stands in; otherwise the walk is over.
func (x *exchange) fail(err error) bool {
	x.now = time.Now()
	if !x.noStore && x.standsInFor(0, err) {
		return true
	}
	if x.hc.Enabled() {
		x.hc.Disable(x.failed(cirque.UpstreamError))
	}
	return false
}

// failed is why a request ends uncached that the origin or the Storage failed for that reason. The
// first failure hands the turn to one waiter; when that one meets with the same, the others are let
// go, for each turn could take as long.
func (x *exchange) failed(reason cirque.NoCacheReason) cirque.NoCacheReason {
	if x.waitedFor {
		return cirque.OriginNotCache
	}
	return reason
}
