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
)

// revalidateInBackground asks the origin about a stale entry that was served, independently of the request it
// was served to (RFC 5861 §3). The write permit of x goes there.
func (x *exchange) revalidateInBackground(stale *cirque.CacheMeta) {
	c := x.cache
	b := &exchange{cache: c, door: x.door, origin: x.origin, stripped: x.stripped, target: x.target, background: true}
	var cancel context.CancelFunc
	b.client, cancel = c.backgroundContext(x.req)
	b.req = x.req.Clone(b.client)
	b.req.Method = http.MethodGet
	b.req.Body = http.NoBody
	for _, name := range [...]string{"Cache-Control", "Pragma", "Range", "If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		b.req.Header.Del(name) // they were this client's wishes, not the resource's
	}
	b.enable(x.hc.Key().WithVariance(cirque.HashBinary{}))
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
	served := stale.Updated()
	go func() {
		defer c.recoverBackground("revalidation")
		defer c.underWay.end(number)
		defer c.revalidations.release(turn)
		defer cancel()
		defer b.hc.Release()
		b.revalidate(served)
	}()
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
	ctx := context.Background()
	if c.cfg.BackgroundContext != nil {
		ctx = c.cfg.BackgroundContext(r)
	}
	if server := r.Context().Value(http.ServerContextKey); server != nil {
		// Without it, httputil.ReverseProxy would not abort on a truncated answer.
		ctx = context.WithValue(ctx, http.ServerContextKey, server)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.background, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// recoverBackground is the one recover boundary of a background goroutine: it reports.
//
// INVARIANT: it is the goroutine's first defer, and so the last to run: what the goroutine held is released by the others,
// where a broken Storage can panic once more.
func (c *Cache) recoverBackground(what string) {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		c.reportPanic(what, p)
	}
}

func (c *Cache) reportPanic(what string, p any) {
	c.logger().Error("cirque: panic in background", slog.String("in", what),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
}
