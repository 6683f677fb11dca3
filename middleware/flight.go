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

// A flight is one fetch from the origin. Its context has the values of the client's, but its owner
// says what ends it.
//
// INVARIANT: whoever begins a flight ends it, exactly once, on every path: a panic of the handler and
// a refused response included.
type flight struct {
	cache  *Cache
	ctx    context.Context
	cancel context.CancelCauseFunc
	client context.Context
	waited bool // a client waits for the header

	owner       owner
	stopClose   func() bool // stops listening to Cache.Close; nil where the flight does not listen
	stopClient  func() bool // stops listening to the client's context; nil where the flight does not listen
	number      uint64      // among what is under way; zero: Close need not wait for it
	landing     sync.Once
	ending      sync.Once
	fetch       fetch // the context of its request, where that has the write permit
	flushes     flushes
	trailer     atomic.Pointer[http.Header]
	fill        atomic.Pointer[cirque.Fill]
	progress    atomic.Int64 // when bytes last came, or were stored, Unix nanoseconds
	storing     atomic.Bool  // the Storage, or a reader who paces it, is waited for, and not the origin
	timer       *time.Timer  // calls watch
	unreadSince time.Time    // zero while there is a reader; only the timer uses it
}

// owner is whose a flight is. It changes as the answer comes:
//
//	begins as ──▶ client ──claim──▶ claimed ──carry──▶ cache
//	              any of them ──adopt──▶ passed
//
// A fetch with the write permit begins as the cache's; one in the background as claimed, because it
// may have to give way until it has a fill. A fetch that nobody else can be waiting for begins as
// its client's: that for a POST, and each without the write permit, be it because the key has proved
// uncacheable, because the request forbids storing, or because it is a HEAD.
type owner uint8

const (
	ownedByClient owner = iota + 1 // ends with its client; Close does not cut short what it does for the client
	ownedClaimed                   // ends with its client, and with Close: what comes is to be stored
	ownedByCache                   // ends with Close, and when nothing comes or nobody reads
	ownedPassed                    // ends with its client; Close has nothing to do with it any more
)

// newFlight begins a fetch on behalf of a client, or of none, with the values of the context client.
// The number is that of underWay.
func (c *Cache) newFlight(client context.Context, waited bool, number uint64) *flight {
	f := &flight{cache: c, client: client, waited: waited, number: number}
	f.ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(client))
	f.timer = time.AfterFunc(time.Hour, f.watch) // set before it can fire
	f.progressed()
	return f
}

// own makes o the owner. It reports false, and changes nothing, if Close has let go of a client's
// flight that is to become the cache's.
func (f *flight) own(o owner) bool {
	endsWithClient, endsWithClose := o != ownedByCache, o == ownedClaimed || o == ownedByCache
	if f.stopClose != nil && (o == ownedPassed || f.owner == ownedByClient) {
		if !f.stopClose() && endsWithClose {
			return false
		}
		f.stopClose = nil
	}
	switch {
	case o == ownedByClient:
		f.stopClose = context.AfterFunc(f.cache.background, f.land)
	case endsWithClose && f.stopClose == nil:
		f.stopClose = context.AfterFunc(f.cache.background, func() { f.cancel(ErrClosed) })
	}
	switch {
	case endsWithClient && f.stopClient == nil:
		f.stopClient = context.AfterFunc(f.client, func() { f.cancel(context.Cause(f.client)) })
	case !endsWithClient && f.stopClient != nil && f.stopClient():
		f.stopClient = nil
	}
	if endsWithClose {
		f.timer.Reset(f.cache.cfg.FillIdle)
	}
	f.owner = o
	return true
}

// claim makes a client's own fetch one that Close ends, as its answer is to be stored. It reports
// false if the cache is closed already.
func (f *flight) claim() bool {
	switch f.owner {
	case ownedByClient:
		return f.own(ownedClaimed)
	case ownedClaimed:
		return f.cache.background.Err() == nil
	}
	return true
}

// carry makes the flight the cache's: it carries a fill, for which the caller took a place in
// Cache.fills.
func (f *flight) carry(fill *cirque.Fill) {
	f.own(ownedByCache)
	f.fill.Store(fill)
	f.cache.flights.Store(fill.Tag(), f)
	f.progressed()
}

// adopt makes the flight the client's alone: nothing of it is stored.
func (f *flight) adopt() {
	f.own(ownedPassed)
	f.land()
}

// land tells Close to stop waiting for this flight, and frees its place among the fills. The fill,
// if there is one, must have ended.
func (f *flight) land() {
	f.landing.Do(func() {
		f.timer.Stop()
		if fill := f.fill.Load(); fill != nil {
			f.cache.flights.Delete(fill.Tag())
			f.cache.fills.release(f)
		}
		f.cache.underWay.leave(f.number)
	})
}

// end releases what the flight holds. The fill, if there is one, must have ended.
func (f *flight) end() {
	f.ending.Do(func() {
		if f.stopClose != nil {
			f.stopClose()
		}
		if f.stopClient != nil {
			f.stopClient()
		}
		f.cancel(nil)
		f.land()
	})
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
	wait := min(limit-idle, f.cache.cfg.FillIdle) // what the fill waits for can change any time
	fill := f.fill.Load()
	switch {
	case fill == nil && f.waited && f.client.Err() == nil:
		// The client is still waiting for a header: how long, is for the client to say.
		wait = f.cache.cfg.FillIdle
	case wait <= 0:
		f.cancel(cause)
		return
	case fill == nil || fill.Readers() > 0:
		f.unreadSince = time.Time{}
	case f.unreadSince.IsZero():
		f.unreadSince = now
		wait = min(wait, f.cache.cfg.FillUnread)
	case now.Sub(f.unreadSince) >= f.cache.cfg.FillUnread:
		f.cancel(ErrFillUnread)
		return
	default:
		wait = min(wait, f.cache.cfg.FillUnread-now.Sub(f.unreadSince))
	}
	f.timer.Reset(max(wait, time.Millisecond))
}

// progressed notes that the origin or the Storage made progress.
func (f *flight) progressed() { f.progress.Store(time.Now().UnixNano()) }

// turn notes that it is the Storage's turn, or the origin's. Progress comes first, so that the time
// that one of them took is never held against the other.
func (f *flight) turn(storing bool) {
	f.progressed()
	f.storing.Store(storing)
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
