package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// bookkeeping is what a Storage needs beside a response that is being written, with its vary
// record, in bytes. It is an upper estimate.
const bookkeeping = 1536

// holds reports whether an empty Storage could hold a response with a body of this length; negative
// if that is unknown.
func (c *Cache) holds(key cirque.CacheKey, meta *cirque.CacheMeta, length int64) bool {
	const copied = 4 << 10 // a body up to this length is in memory twice for a moment
	if length <= copied {
		length *= 2
	}
	about := 2 * int64(len(key.Primary())+meta.MetaSize())
	limit := limitOf(c.budgets)
	return limit <= 0 || max(length, 0)+about+bookkeeping <= limit
}

// fillSource describes the body of a fill.
type fillSource struct {
	size     int64      // negative if unknown
	replaces cirque.Tag // the entry of which the body contains parts
}

// fill begins to store the answer, with meta. If that is not possible, the answer is for this
// client alone.
func (x *transaction) fill(meta *cirque.CacheMeta, src fillSource) fate {
	c := x.cache
	if !x.flight.claim() {
		return x.notFilled("closing", cirque.Deferred)
	}
	if !c.fills.take(x.flight, x.holder(meta, src.size)) {
		// Those who wait go to the origin at once and together. If they went one by one, each of
		// them would find no place.
		return x.notFilled("too-many-fills", cirque.OriginNotCache)
	}
	begun := false
	defer func() {
		if !begun { // a hook or the Storage may have panicked
			c.fills.release(x.flight)
		}
	}()
	unshared := !x.noteShareable(meta)
	x.hc.SetMeta(meta)
	fields, _ := rules.VaryFields(http.Header{"Vary": meta.Header().Values("Vary")})
	x.hc.UpdateVariance(x.flight.ctx, fields, x.req.Header, x.varianceHook())
	fill, err := x.hc.StartFill(x.flight.ctx, cirque.FillOptions{
		MissOptions: cirque.MissOptions{SizeHint: src.size, Replaces: src.replaces},
		Reader:      x.readerContext(), Cost: x.now.Sub(x.upstream.askedAt),
		LastTurn: x.precedingFailure != noFailure, Unshared: unshared,
	})
	switch {
	case errors.Is(err, cirque.ErrPurged):
		// A purge is not a failure: counted as one, the second in a row would release all waiters.
		return x.notFilled("purged", cirque.Deferred)
	case err != nil:
		c.storageFailed("miss", err)
		return x.notFilled("storage-error", x.failureReason(cirque.StorageError))
	}
	begun = true
	x.flight.carry(fill, x.hc.Key().PrimaryHash())
	x.replaced = x.hc.HitStatus() != 0
	if x.result != stats.Bypass {
		x.result = stats.Pass // unless it is stored
	}
	switch fill.NoCacheReason() {
	case "":
		x.result, x.status.stored = stats.Miss, true
		x.status.setTTL(meta, x.now)
	case cirque.ResponseTooLarge:
		x.status.detail = "too-large"
	case cirque.StorageError:
		c.storageFailed("miss", fill.Err())
		x.status.detail = "storage-error"
	default:
		x.status.detail = notStored(fill.Err())
	}
	return fateFill
}

// notFilled passes on an answer that the rules would store, and notes why it is not stored.
func (x *transaction) notFilled(detail string, reason cirque.NoCacheReason) fate {
	x.status.detail = detail
	return x.pass(reason)
}

// notStored returns a token that says why a response was not stored although the rules allow it.
func notStored(err error) string {
	if errors.Is(err, cirque.ErrSuperseded) {
		return "superseded"
	}
	return "purged"
}

// noteShareable reports whether those who wait for meta's response may share it, or may be served
// it while it is revalidated (RFC 5861 §3). If not, because it must be validated before each use,
// noteShareable tells the predictor, so that the next requests do not queue.
//
// This decides when the waiters are released. What each of them may take is decided in
// planner.reusable, by rules.Shareable alone: there a stale hit comes by the rules of reuse.
func (x *transaction) noteShareable(meta *cirque.CacheMeta) bool {
	shared := rules.Shareable(meta, x.now) || meta.ServeStaleWhileRevalidate(x.now)
	if !shared && x.upstream.as != storePost { // a POST's answer says nothing about the lock of GETs
		x.hc.ResponseBecameUncacheable(cirque.OriginNotCache)
	}
	return shared
}

// finishFill ends the fill after its body has arrived whole. The caller always calls Abort
// afterwards, which does nothing if the fill could be finished.
func (x *transaction) finishFill(trailer http.Header) {
	x.flight.nowStoring()
	fill := x.flight.fill.Load()
	if x.flight.ctx.Err() != nil || x.upstream.part != nil && x.upstream.part.writeAfter(fill) != nil {
		return
	}
	if trailer["Set-Cookie"] != nil {
		// All readers get the trailer, and a cookie does not belong there (RFC 9110 §6.5.1).
		trailer = trailer.Clone()
		delete(trailer, "Set-Cookie")
	}
	x.flight.setTrailer(trailer)
	err := fill.Finish()
	if err != nil && !errors.Is(err, cirque.ErrUnlinked) && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("finish", err)
	}
}

// storeFreshened stores the updated meta of a validated entry, and releases those who wait for it.
func (x *transaction) storeFreshened(fresh *cirque.CacheMeta) error {
	if x.noteShareable(fresh) { // before the waiters are released, so that nobody queues behind them
		x.hc.ResponseBecameCacheable()
	}
	return x.hc.Revalidate(x.flightContext(), fresh)
}

// supersede removes what is stored under the walk's key, unless that is more recent than the answer
// in e.
func (x *transaction) supersede(e *rules.Exchange) {
	if err := x.hc.Supersede(x.flightContext(), e.Recency()); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("purge", err)
	}
}

// readerContext is the context in which the client reads the fill; nil if there is no client.
func (x *transaction) readerContext() context.Context {
	if x.background {
		return nil
	}
	return x.client
}

// lookupContext is the context for looking up a stored response in order to answer. If this client
// has left, the others still get the answer.
func (x *transaction) lookupContext() context.Context {
	if x.client.Err() != nil {
		return context.WithoutCancel(x.client)
	}
	return x.client
}

// flightContext is the context for writing to the Storage.
func (x *transaction) flightContext() context.Context {
	if x.flight != nil {
		return x.flight.ctx
	}
	return context.WithoutCancel(x.client)
}
