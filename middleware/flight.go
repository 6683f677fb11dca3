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

// A flight is one fetch from the origin that belongs to the cache, not to the client who caused it:
// its context has lost the client's cancellation. It ends by itself, when the origin stalls, when
// nobody reads for too long, or when the cache is closed.
//
// INVARIANT: whoever begins a flight ends it, exactly once, on every path: a panic of the handler
// and a refused response included.
type flight struct {
	cache  *Cache
	ctx    context.Context
	cancel context.CancelCauseFunc
	unhook func() bool // stops listening to Cache.Close
	client context.Context
	waited bool // the client waits for the header; else client is no more than where values come from

	progress atomic.Int64 // when bytes last came, or were stored, Unix nanoseconds
	storing  atomic.Bool  // it is the Storage, or a reader who paces it, that is waited for, not the origin
	unread   time.Time    // since when there has been no reader; guarded by the timer's being the only one to use it
	fill     atomic.Pointer[cirque.Fill]
	timer    *time.Timer
	disown   func() bool

	flushes flushes
	fetch   fetch // the context of its request, where it has the write permit

	number  uint64 // among what is under way
	landing sync.Once
	once    sync.Once
	trailer atomic.Pointer[http.Header]
}

// newFlight begins a fetch on behalf of x, the values of whose context it keeps. A fetch that
// nobody else can be waiting for is the client's, and ends with it, until its answer begins to be
// stored: that for a POST, and each without the write permit, be it because the key has proved
// uncacheable, because the request forbids storing, or for a HEAD. A fetch that begins while the
// cache is closing is the client's to its end.
func (x *exchange) newFlight() *flight {
	c := x.cache
	f := &flight{cache: c, client: x.client, waited: !x.background}
	f.ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(x.client))
	f.timer = time.AfterFunc(time.Hour, f.watch) // set before it can fire
	f.moved()
	if f.number = c.underWay.begin(); f.number == 0 && !x.background { // which is under way itself
		x.passOn(cirque.Deferred)
		x.pass(x.status.fwd, "closing")
		f.unhook = func() bool { return true }
		f.adopt()
		return f
	}
	if !x.background && !x.hc.IsWriter() {
		f.unhook = context.AfterFunc(c.background, f.land) // what it does for its client is not for Close to cut short
		f.endWithClient()
	} else {
		f.endOnClose()
		if x.background { // until there is a fill, it may have to make room for another
			f.endWithClient()
		}
		f.timer.Reset(c.cfg.FillIdle)
	}
	return f
}

func (f *flight) endOnClose() {
	f.unhook = context.AfterFunc(f.cache.background, func() { f.cancel(ErrClosed) })
}

func (f *flight) endWithClient() {
	f.disown = context.AfterFunc(f.client, func() { f.cancel(context.Cause(f.client)) })
}

// claim makes the client's own fetch Close's business, as it is to be stored. It reports false
// where Close has given it up already.
func (f *flight) claim() bool {
	if f.disown == nil {
		return true // it is nobody's own
	}
	if !f.unhook() {
		return false
	}
	f.endOnClose()
	return true
}

// watch is called by the timer until the flight ends.
func (f *flight) watch() {
	if f.ctx.Err() != nil {
		return
	}
	limit, cause := f.cache.cfg.FillIdle, ErrFillIdle
	if f.storing.Load() { // before progress; see turn
		limit, cause = f.cache.cfg.FillUnread, ErrFillUnread
	}
	now := time.Now()
	idle := now.Sub(time.Unix(0, f.progress.Load()))
	wait := min(limit-idle, f.cache.cfg.FillIdle) // whom the fill waits for can change any time
	fill := f.fill.Load()
	switch {
	case fill == nil && f.waited && f.client.Err() == nil:
		// The client is still waiting for a header: how long, is for the client to say.
		wait = f.cache.cfg.FillIdle
	case wait <= 0:
		f.cancel(cause)
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

// turn notes that it is the Storage's turn, or the origin's. Progress comes first, so that the time
// one of them took is never held against the other.
func (f *flight) turn(storing bool) {
	f.moved()
	f.storing.Store(storing)
}

// adopt makes the flight the client's own: nothing of it is stored, it ends when the client leaves,
// and Cache.Close has nothing to do with it any more.
func (f *flight) adopt() {
	f.unhook()
	if f.disown == nil {
		f.endWithClient()
	}
	f.land()
}

// land says that what is left of the flight is between the origin and a client, or a client and the
// Storage: Cache.Close need not wait for it, nor does it take the place of a fill. The fill, if
// there is one, must have ended.
func (f *flight) land() {
	f.landing.Do(func() {
		f.timer.Stop()
		if fill := f.fill.Load(); fill != nil {
			f.cache.flights.Delete(fill.Tag())
			f.cache.fills.release(f)
		}
		f.cache.underWay.end(f.number)
	})
}

// end releases what the flight holds. The fill, if there is one, must have ended.
func (f *flight) end() {
	f.once.Do(func() {
		f.unhook()
		if f.disown != nil {
			f.disown()
		}
		f.cancel(nil)
		f.land()
	})
}

// begin makes the flight carry a fill, for which the caller took a place in Cache.fills.
func (f *flight) begin(fill *cirque.Fill) {
	if f.disown != nil && f.disown() {
		f.disown = nil // it is the cache's now
		f.timer.Reset(f.cache.cfg.FillIdle)
	}
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
