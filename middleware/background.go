package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// revalidateInBackground asks the origin about a stale entry that is served, independently of the
// request it is served to (RFC 5861 §3). The write permit of x goes there. chain is the handler
// that the request goes through; nil at the Transport door, whose requests need nothing around
// them.
func (x *transaction) revalidateInBackground(stale *cirque.CacheMeta, chain http.Handler) {
	c := x.cache
	var wants selection
	if chain != nil {
		wants = x.selectionFor(x.hc.VaryRecord())
	}
	b := &transaction{clientRequest: x.clientRequest, origin: x.origin}
	b.background = true
	b.status.fwd = "stale" // RFC 9211 §2.2
	ctx, cancel := c.backgroundContext(x.req)
	b.client = context.WithValue(ctx, refreshKey{}, (*refresh)(nil))
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
	b.hc.SetWriteLock(x.hc.TakeWriteLock()) // now that no hook can panic any more
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
	f := &refresh{cache: c, walk: b, key: key, wants: wants, served: stale.Updated(), ctx: ctx, cancel: cancel, number: number}
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
		b.revalidate(f.served)
	}()
}

// revalidate is the walk of a background revalidation of what was last updated at served.
func (x *transaction) revalidate(served time.Time) {
	meta, hit, err := x.lookup()
	switch {
	case err == nil && meta.Updated().After(served):
		// Another request has seen to it between this one's lookup and its lock.
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
	x.askOrigin()
	x.origin.revalidate(x)
}
