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

// These errors say why the cache ended a fill.
var (
	ErrFillIdle   = errors.New("middleware: the origin made no progress")
	ErrFillUnread = errors.New("middleware: the response had no reader for too long")
)

// flight is one fetch from the origin. Its context has the values of the client's context; what
// ends it depends on its owner.
//
// INVARIANT: whoever begins a flight ends it exactly once, on every path: also if the handler
// panics, and if the response is refused.
type flight struct {
	cache  *Cache
	ctx    context.Context
	cancel context.CancelCauseFunc
	client context.Context
	waited bool // a client waits for the header; false for a revalidation in the background

	owner           owner
	stopClose       func() bool // stops listening to Cache.Close; nil if it does not
	stopClient      func() bool // stops listening to the client's context; nil if it does not
	number          uint64      // of the flight in Cache.underWay; zero if Close need not wait for it
	landing         sync.Once
	ending          sync.Once
	fetchContext    fetchContext // the context of its request, if that has the write permit
	flushes         flushes
	trailer         atomic.Pointer[http.Header]
	fill            atomic.Pointer[cirque.Fill]
	key             cirque.HashBinary // the primary one, of the fill; set before it
	reused          atomic.Int64      // bytes of a stored part that went into the fill
	progress        atomic.Int64      // when bytes last came or were stored, in Unix nanoseconds
	waitsForStorage atomic.Bool       // for it, or for a reader who paces it, and not for the origin
	timer           *time.Timer       // calls watch
	unreadSince     time.Time         // zero while there is a reader; used by the timer only
}

// owner says to whom a flight belongs. It changes as the answer comes:
//
//	without the write permit ──▶ client ──claim──▶ claimed ──carry──▶ cache
//	in the background ──────────────────────────▶ claimed
//	with the write permit ─────────────────────────────────────────▶ cache
//	while the cache is closing ──▶ passed ◀──pass── any of the others
//
// A background revalidation is not the cache's until it has a fill, because it may have to give way
// before. Without the write permit nobody else can be waiting: the key was uncacheable before; the
// request is a HEAD or a POST, or forbids storing; or it waited for another's fetch, and may not
// share the answer.
type owner uint8

const (
	ownedByClient owner = iota + 1 // ends with its client; Close lets it go on
	ownedClaimed                   // ends with its client and with Close: its reply is to be stored
	ownedByCache                   // ends with Close, and when no bytes come or nobody reads
	ownedPassed                    // ends with its client; Close does not wait for it
)

// newFlight begins a fetch on behalf of a client, or of none. Its context has the values of client.
// number is what underWay.enter returned.
func (c *Cache) newFlight(client context.Context, waited bool, number uint64) *flight {
	f := &flight{cache: c, client: client, waited: waited, number: number}
	f.ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(client))
	f.timer = time.AfterFunc(time.Hour, f.watch) // long enough for f.timer to be set before watch reads it
	f.progressed()
	return f
}

// setOwner makes o the owner, and begins or stops to listen for what ends the flight:
//
//	owner          when the client leaves  when the context of Close ends
//	ownedByClient  the flight ends         Close stops waiting for it
//	ownedClaimed   the flight ends         the flight ends
//	ownedByCache   nothing                 the flight ends
//	ownedPassed    the flight ends         nothing: Close does not wait for it
//
// It returns false, and changes nothing, if Close has stopped waiting for a client's flight that is
// to become the cache's.
func (f *flight) setOwner(o owner) bool {
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

// claim is called before a reply is stored. After it, Close also ends the fetch of a client. It
// returns false if the cache is closed already.
func (f *flight) claim() bool {
	switch f.owner {
	case ownedByClient:
		return f.setOwner(ownedClaimed)
	case ownedClaimed:
		return f.cache.background.Err() == nil
	}
	return true
}

// carry makes the flight the cache's: it carries a fill from now on, of key and its variants. The
// caller must have taken a place in Cache.fills.
func (f *flight) carry(fill *cirque.Fill, key cirque.HashBinary) {
	f.setOwner(ownedByCache)
	f.cache.counters.fillsStarted.Add(1)
	f.key = key
	f.fill.Store(fill)
	f.cache.flights.Store(fill.Tag(), f)
	f.progressed()
}

// pass makes the flight the client's alone: its answer is passed on, and nothing of it is stored.
func (f *flight) pass() {
	f.setOwner(ownedPassed)
	f.land()
}

// land tells Close to stop waiting for this flight, and frees its place among the fills. If there
// is a fill, it must have ended.
func (f *flight) land() {
	f.landing.Do(func() {
		f.timer.Stop()
		if fill := f.fill.Load(); fill != nil {
			f.cache.counters.fillDone(fill, f.reused.Load())
			if outcome := fillOutcome(fill); outcome != "stored" {
				f.cache.refusals.note(refusal{key: f.key, detail: outcome, status: fill.Meta().StatusCode(), at: time.Now()})
			}
			f.cache.flights.Delete(fill.Tag())
			f.cache.fills.release(f)
		}
		f.cache.underWay.leave(f.number)
	})
}

// end releases what the flight holds. If there is a fill, it must have ended.
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

// watch checks whether the flight has to end. The timer calls it until the flight ends.
func (f *flight) watch() {
	if f.ctx.Err() != nil {
		return
	}
	limit, cause := f.cache.cfg.FillIdle, ErrFillIdle
	if f.waitsForStorage.Load() { // read before progress: see nowStoring
		limit, cause = f.cache.cfg.FillUnread, ErrFillUnread
	}
	now := time.Now()
	idle := now.Sub(time.Unix(0, f.progress.Load()))
	wait := min(limit-idle, f.cache.cfg.FillIdle) // what the fill waits for can change at any time
	fill := f.fill.Load()
	switch {
	case fill == nil && f.waited && f.client.Err() == nil:
		// A client is still waiting for a header, and decides for itself how long.
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

// nowStoring notes that from now on the flight waits for the Storage, or for a reader who paces it,
// and not for the origin.
//
// Here and in nowFetching progress comes first, so that the time that one of them took is never
// held against the other.
func (f *flight) nowStoring() {
	f.progressed()
	f.waitsForStorage.Store(true)
}

// nowFetching notes that from now on the flight waits for the origin.
func (f *flight) nowFetching() {
	f.progressed()
	f.waitsForStorage.Store(false)
}

// setTrailer gives the trailer to the readers of the body. It must be called before the body ends.
func (f *flight) setTrailer(trailer http.Header) {
	if len(trailer) > 0 {
		f.trailer.Store(&trailer)
	}
}

// trailers returns the trailer fields; nil if there are none, or none yet.
func (f *flight) trailers() http.Header {
	if f == nil {
		return nil
	}
	if t := f.trailer.Load(); t != nil {
		return *t
	}
	return nil
}

// flights finds the flight that writes a partial hit, by the tag of the entry that it will become.
type flights struct{ sync.Map }

// of returns the flight that writes what hit reads; nil if that is complete.
func (m *flights) of(hit cirque.HitHandler) *flight {
	if hit == nil || hit.CountsAccess() { // only the reader of a write under way does not count
		return nil
	}
	if f, ok := m.Load(hit.Tag()); ok {
		return f.(*flight)
	}
	return nil
}
