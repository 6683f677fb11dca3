package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// bookkeeping is what a Storage takes beside a response that is being written, with its vary record,
// in bytes. It is rather too much than too little.
const bookkeeping = 1536

// holds reports whether the Storage, were it empty, would hold a response whose body has this
// length; negative where that is not known.
func (c *Cache) holds(key cirque.CacheKey, meta *cirque.CacheMeta, length int64) bool {
	const copied = 4 << 10 // up to which length a body is in memory twice for a moment
	if length <= copied {
		length *= 2
	}
	about := 2 * int64(len(key.Primary())+meta.MetaSize())
	return c.limit <= 0 || max(length, 0)+about+bookkeeping <= c.limit
}

// fillSource describes the body of a fill.
type fillSource struct {
	size     int64      // negative where unknown
	replaces cirque.Tag // the entry it is built upon
}

// fill begins to store the answer with meta. Where it cannot, the answer is for this client alone.
func (x *transaction) fill(meta *cirque.CacheMeta, src fillSource) fate {
	c := x.cache
	if !x.flight.claim() {
		return x.notFilled("closing", cirque.Deferred)
	}
	if !c.fills.take(x.flight, x.holder()) {
		// Those who wait go to the origin at once, all together: one after the other, each would
		// find no place either.
		return x.notFilled("too-many-fills", cirque.OriginNotCache)
	}
	begun := false
	defer func() {
		if !begun { // a hook or the Storage may have panicked
			c.fills.release(x.flight)
		}
	}()
	x.setGroups(meta)
	unshared := !x.shared(meta)
	x.hc.SetMeta(meta)
	fields, _ := cirque.VaryFields(http.Header{"Vary": meta.Header().Values("Vary")})
	x.hc.UpdateVariance(x.flight.ctx, fields, x.req.Header, x.varianceHook())
	fill, err := x.hc.StartFill(x.flight.ctx, cirque.FillOptions{
		Reader: x.readerContext(), SizeHint: src.size, Replaces: src.replaces, Cost: x.now.Sub(x.upstream.asked),
		LastTurn: x.preceded != noFailure, Unshared: unshared,
	})
	switch {
	case errors.Is(err, cirque.ErrPurged):
		// A purge is not a failure: counted as one, the second in a row would release all waiters.
		return x.notFilled("purged", cirque.Deferred)
	case err != nil:
		c.storageFailed("miss", err)
		return x.notFilled("storage-error", x.failure(cirque.StorageError))
	}
	begun = true
	x.flight.carry(fill)
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
	return fateFill
}

// notFilled passes on an answer that could be stored, and says why it is not.
func (x *transaction) notFilled(detail string, reason cirque.NoCacheReason) fate {
	x.status.detail = detail
	return x.pass(reason)
}

// notStored says in a token why a response that might be stored was not.
func notStored(err error) string {
	if errors.Is(err, cirque.ErrSuperseded) {
		return "superseded"
	}
	return "purged"
}

// shared reports whether those who wait for meta's response may share it, or have it while it is
// revalidated (RFC 5861 §3). If not, because it must be validated before each use, shared sees to it
// that the next requests do not queue.
func (x *transaction) shared(meta *cirque.CacheMeta) bool {
	shared := rules.Shareable(meta, x.now) || meta.ServeStaleWhileRevalidate(x.now)
	if !shared && x.upstream.as != storePost { // a POST's answer says nothing about the lock of GETs
		x.hc.ResponseBecameUncacheable(cirque.OriginNotCache)
	}
	return shared
}

// setGroups notes which groups of the origin, as clients know it, the response is in.
func (x *transaction) setGroups(meta *cirque.CacheMeta) {
	if meta.Header().Has("Cache-Groups") {
		meta.SetGroups(x.target.origin())
	}
}

// finishFill ends the fill, whose body has come whole. If that was for nothing, the fill is left for
// the caller to abort.
func (x *transaction) finishFill(trailer http.Header) {
	x.flight.turn(true)
	fill := x.flight.fill.Load()
	if x.flight.ctx.Err() != nil || x.upstream.part != nil && x.upstream.part.append(fill) != nil {
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

// freshen merges an answer that validates the stale entry at hand into that entry's meta.
func (x *transaction) freshen(e *rules.Exchange) (*cirque.CacheMeta, *rules.Refusal) {
	fresh, refusal := x.cache.policy.Freshen(x.hc.Meta(), e)
	x.setGroups(fresh)
	return fresh, refusal
}

// storeFreshened stores the meta that freshen returned, and lets those go who wait for it.
func (x *transaction) storeFreshened(fresh *cirque.CacheMeta) error {
	if x.shared(fresh) { // before they are let go: nobody is to queue behind them
		x.hc.ResponseBecameCacheable()
	}
	return x.hc.Revalidate(x.flightContext(), fresh)
}

// supersede ends the life of what is stored under the walk's key, unless that is more recent than
// the answer in e.
func (x *transaction) supersede(e *rules.Exchange) {
	if err := x.hc.Supersede(x.flightContext(), e.Recency()); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("purge", err)
	}
}

// readerContext is the context in which the client reads the fill; nil where there is no client.
func (x *transaction) readerContext() context.Context {
	if x.background {
		return nil
	}
	return x.client
}

// readingContext is the context in which what is stored is read for an answer. A client who has left
// does not keep the answer from the others.
func (x *transaction) readingContext() context.Context {
	if x.client.Err() != nil {
		return context.WithoutCancel(x.client)
	}
	return x.client
}

// flightContext is the context in which the Storage is written to.
func (x *transaction) flightContext() context.Context {
	if x.flight != nil {
		return x.flight.ctx
	}
	return context.WithoutCancel(x.client)
}
