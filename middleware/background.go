package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// revalidateInBackground asks the origin about a stale entry that is served now. It does not depend
// on the request to which the entry is served (RFC 5861 §3). It takes the write permit of x. chain
// is the handler to which the request is sent; nil at the Transport door, where it goes straight to
// the base.
func (x *transaction) revalidateInBackground(stale *cirque.CacheMeta, chain http.Handler) {
	c := x.cache
	var wants selection
	if chain != nil {
		wants = x.selectionFor(x.hc.VaryRecord())
	}
	b := &transaction{clientRequest: x.clientRequest, revalidator: x.revalidator}
	b.background = true
	b.status.fwd = "stale" // RFC 9211 §2.2
	ctx, cancel := c.backgroundContext(x.req)
	trace := c.traceOf(x.req.Context())
	if trace != nil && trace.Background != nil {
		ctx = trace.Background(ctx)
		trace = c.traceOf(ctx)
	}
	b.meter = meterFor(x.door, x.req, trace)
	b.client = context.WithValue(ctx, refreshKey{}, (*refresh)(nil)) // for IsRefresh: the value is not nil, only the pointer in it
	fields := x.req.Header
	if chain != nil {
		fields = x.clientHeader // the door that it reaches normalises it
	}
	header := fields.Clone()
	rules.RefreshHeader(header)
	if chain == nil {
		b.req = newBackgroundRequest(b.client, x.req, header)
	} else {
		b.req = newRefreshRequest(ctx, x.req, header)
	}
	key := x.hc.Key().WithVariance(cirque.HashBinary{})
	b.enable(key)
	b.hc.SetWriteLock(x.hc.TakeWriteLock()) // from here on no hook can panic
	turn := c.revalidations.enter(cancel)
	if turn == nil {
		b.hc.Release()
		cancel()
		return
	}
	number := c.underWay.enter()
	if number == 0 {
		c.revalidations.leave(turn)
		b.hc.Release()
		cancel()
		return
	}
	f := &refresh{cache: c, walk: b, key: key, wants: wants, updated: stale.Updated(), ctx: ctx, cancel: cancel, number: number}
	go func() {
		defer c.recoverBackground("revalidation")
		defer f.leaveUnderWay()
		defer c.revalidations.leave(turn)
		defer cancel()
		if chain != nil {
			f.run(chain, b.req)
			return
		}
		defer b.hc.Release()
		b.revalidate(f.updated)
	}()
}

// revalidate is the walk of a background revalidation. updated is when the entry that was served
// stale was last updated.
func (x *transaction) revalidate(updated time.Time) {
	meta, hit, err := x.lookup()
	switch {
	case err == nil && meta.Updated().After(updated):
		// Another request updated the entry between the lookup and the lock of this one.
		_ = hit.Close()
		x.hc.ReleaseWriteLock("")
		return
	case err == nil:
		x.hc.Found(meta, hit, cirque.HitExpired)
	case !errors.Is(err, cirque.ErrNotFound):
		if x.client.Err() == nil {
			x.cache.storageFailed("lookup", err)
		}
		return
	}
	defer x.reportRefresh()
	x.planOrigin()
	x.revalidator.revalidate(x)
}
