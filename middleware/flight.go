package middleware

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// Why a fill is ended by the cache.
var (
	ErrFillIdle   = errors.New("middleware: origin made no progress")
	ErrFillUnread = errors.New("middleware: nobody has read the response for too long")
)

// A flight is one fetch from the origin that belongs to the cache, not to the client who caused it: its
// context has lost the client's cancellation. It ends by itself, when the origin stalls, when
// nobody reads for too long, or when the cache is closed.
//
// INVARIANT: whoever begins a flight ends it, exactly once, on every path: a panic of the handler and a
// refused response included.
type flight struct {
	cache  *Cache
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool // stops listening to Cache.Close
	client context.Context

	// adopted reports that the answer proved to be the client's alone: it is cancelled when the client leaves.
	adopted  atomic.Bool
	progress atomic.Int64 // when bytes last came, Unix nanoseconds
	unread   time.Time    // since when there has been no reader; guarded by the timer's being the only one to use it
	fill     atomic.Pointer[cirque.Fill]
	timer    *time.Timer
	disown   func() bool

	once    sync.Once
	trailer atomic.Pointer[http.Header]
}

// newFlight begins a fetch on behalf of client, whose context's values it keeps.
func (c *Cache) newFlight(client context.Context) *flight {
	f := &flight{cache: c, client: client}
	f.ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(client))
	f.unhook = context.AfterFunc(c.background, func() { f.cancel(ErrClosed) })
	f.progress.Store(time.Now().UnixNano())
	f.timer = time.AfterFunc(time.Hour, f.watch) // set before it can fire
	f.timer.Reset(c.cfg.FillIdle)
	return f
}

// watch is called by the timer until the flight ends.
func (f *flight) watch() {
	if f.ctx.Err() != nil {
		return
	}
	now := time.Now()
	idle := now.Sub(time.Unix(0, f.progress.Load()))
	wait := f.cache.cfg.FillIdle - idle
	fill := f.fill.Load()
	switch {
	case fill == nil && f.client.Err() == nil:
		// The client is still waiting for a header: how long, is for the client to say.
		wait = f.cache.cfg.FillIdle
	case wait <= 0:
		f.cancel(ErrFillIdle)
		return
	case fill == nil || fill.Readers() > 0:
		f.unread = time.Time{}
	case f.unread.IsZero():
		f.unread = now
		wait = min(wait, f.cache.cfg.FillUnread)
	case now.Sub(f.unread) >= f.cache.cfg.FillUnread:
		f.cancel(ErrFillUnread)
		return
	default:
		wait = min(wait, f.cache.cfg.FillUnread-now.Sub(f.unread))
	}
	f.timer.Reset(max(wait, time.Millisecond))
}

// moved notes that the origin made progress.
func (f *flight) moved() { f.progress.Store(time.Now().UnixNano()) }

// adopt makes the flight the client's own: nothing of it is stored, it ends when the client leaves.
func (f *flight) adopt() {
	if f.adopted.Swap(true) {
		return
	}
	f.timer.Stop()
	f.disown = context.AfterFunc(f.client, func() { f.cancel(context.Cause(f.client)) })
}

// end releases what the flight holds. The fill, if there is one, must have ended.
func (f *flight) end() {
	f.once.Do(func() {
		f.timer.Stop()
		f.unhook()
		if f.disown != nil {
			f.disown()
		}
		f.cancel(nil)
		if fill := f.fill.Load(); fill != nil {
			f.cache.flights.Delete(fill.Tag())
			f.cache.fills.release()
		}
	})
}

// begin makes the flight carry a fill, for which the caller took a place in Cache.fills.
func (f *flight) begin(fill *cirque.Fill) {
	f.fill.Store(fill)
	f.cache.flights.Store(fill.Tag(), f)
	f.moved()
}

// setTrailer makes the trailer known to the readers of the body. It must precede the body's end.
func (f *flight) setTrailer(trailer http.Header) {
	if len(trailer) > 0 {
		f.trailer.Store(&trailer)
	}
}

// trailers returns the trailer fields; nil where there are none, or not yet.
func (f *flight) trailers() http.Header {
	if f == nil {
		return nil
	}
	if t := f.trailer.Load(); t != nil {
		return *t
	}
	return nil
}

// flights finds the flight behind a partial hit, by the tag of the entry it will become.
type flights struct{ sync.Map }

func (m *flights) of(hit cirque.HitHandler) *flight {
	if hit == nil || hit.CountsAccess() {
		return nil // complete
	}
	if f, ok := m.Load(hit.Tag()); ok {
		return f.(*flight)
	}
	return nil
}
