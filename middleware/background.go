package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// revalidateInBackground asks the origin about a stale entry that is served, independently of the
// request it is served to (RFC 5861 §3). The write permit of x goes there. chain is the handler
// that the request goes through; nil at the Transport door, whose requests need nothing around
// them.
func (x *exchange) revalidateInBackground(stale *cirque.CacheMeta, chain http.Handler) {
	c := x.cache
	var wants selection
	if chain != nil {
		wants = x.selects(x.hc.VaryRecord())
	}
	b := &exchange{cache: c, door: x.door, origin: x.origin, stripped: x.stripped, target: x.target, background: true}
	b.status.fwd = "stale" // RFC 9211 §2.2
	ctx, cancel := c.backgroundContext(x.req)
	b.client = context.WithValue(ctx, refreshKey{}, (*refresh)(nil))
	said := x.req.Header
	if chain != nil {
		said = x.said // which is normalised where it arrives
	}
	header := said.Clone()
	rules.RefreshHeader(header)
	if chain == nil {
		b.req = newBackgroundRequest(b.client, x.req, header)
	} else {
		b.req = newRefreshRequest(ctx, x.req, header)
	}
	key := x.hc.Key().WithVariance(cirque.HashBinary{})
	b.enable(key)
	b.hc.SetWriteLock(x.hc.TakeWriteLock()) // now that no hook can panic any more
	turn := c.revalidations.take(cancel)
	if turn == nil {
		b.hc.Release()
		cancel()
		return
	}
	number := c.underWay.begin()
	if number == 0 {
		c.revalidations.release(turn)
		b.hc.Release()
		cancel()
		return
	}
	f := &refresh{walk: b, key: key, wants: wants, served: stale.Updated(), ctx: ctx, cancel: cancel, number: number}
	go func() {
		defer c.recoverBackground("revalidation")
		defer f.end()
		defer c.revalidations.release(turn)
		defer cancel()
		if chain != nil {
			f.run(chain, b.req)
			return
		}
		defer b.hc.Release()
		b.revalidate(f.served)
	}()
}

// newBackgroundRequest returns a GET like r, without what r's caller has in it for itself.
func newBackgroundRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	u := *r.URL
	again := &http.Request{
		Method: http.MethodGet, URL: &u, RequestURI: r.RequestURI, Host: r.Host, Header: header, Body: http.NoBody,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, RemoteAddr: r.RemoteAddr, TLS: r.TLS,
	}
	return again.WithContext(ctx)
}

// revalidate is the walk of a background revalidation of what was last updated at served.
func (x *exchange) revalidate(served time.Time) {
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
	x.forward()
	x.origin.revalidate(x)
}

// backgroundContext returns the context of work that outlives r.
func (c *Cache) backgroundContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(c.newContext(r))
	stop := context.AfterFunc(c.background, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// newContext returns a context with what a server gives its requests, for a request like r.
func (c *Cache) newContext(r *http.Request) context.Context {
	ctx := context.Background()
	if c.cfg.BackgroundContext != nil {
		ctx = c.cfg.BackgroundContext(r)
	}
	if server := r.Context().Value(http.ServerContextKey); server != nil {
		// Without it, httputil.ReverseProxy would not abort on a truncated answer.
		ctx = context.WithValue(ctx, http.ServerContextKey, server)
	}
	if addr := r.Context().Value(http.LocalAddrContextKey); addr != nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, addr)
	}
	return ctx
}

// recoverBackground is the one recover boundary of a background goroutine: it reports.
//
// INVARIANT: it is the goroutine's first defer, and so the last to run: what the goroutine held is
// released by the others, where a broken Storage can panic once more.
func (c *Cache) recoverBackground(what string) {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		c.reportPanic(what, p)
	}
}

func (c *Cache) reportPanic(what string, p any) {
	c.logger().Error("cirque: panic in background", slog.String("in", what),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
}
