package middleware

import (
	"context"
	"encoding/binary"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// IsRefresh reports whether ctx is the context of a request that a cache makes itself. It makes one
// to revalidate in the background what it has served stale (RFC 5861 §3), and to ask again if the
// first answer could not be used. So handlers around and behind the cache can tell such requests
// from those of clients: a log, a metric or a rate limiter may count them separately. What handlers
// around the cache write as the answer reaches nobody.
func IsRefresh(ctx context.Context) bool { return ctx.Value(refreshKey{}) != nil }

type refreshKey struct{}

// refresh is a background revalidation at the Handler door. It is a request that goes through the
// whole chain of handlers, like a client's, and carries the walk for which its answer is. The door
// that finds the walk's key takes the walk over.
//
// Until then nobody drives the walk. INVARIANT: whoever changes state from refreshPending owns the
// walk, and releases it.
type refresh struct {
	cache   *Cache
	walk    *transaction // with the write permit
	key     cirque.CacheKey
	wants   selection // of what is stored under key
	updated time.Time // when the entry that was served stale was last updated
	ctx     context.Context
	cancel  context.CancelFunc
	state   atomic.Uint32
	timer   *time.Timer // bounds the time until a door takes the walk over; nil if the client's context does
	number  uint64      // of the revalidation in Cache.underWay; zero if it has none
	left    sync.Once

	second *secondRequest // nil for a background revalidation
}

// States of a refresh.
const (
	refreshPending uint32 = iota // no door has taken over the walk
	refreshTaken                 // a door has taken it over
	refreshOver                  // the walk is released
)

// refreshOf returns the refresh that ctx carries. It is nil if there is none, or if a door has
// taken over its walk: behind that door the request is an ordinary one.
func refreshOf(ctx context.Context) *refresh {
	if f, _ := ctx.Value(refreshKey{}).(*refresh); f != nil && f.state.Load() != refreshTaken {
		return f
	}
	return nil
}

// run sends the request through the chain, and returns when the chain does.
func (f *refresh) run(chain http.Handler, r *http.Request) {
	c := f.cache
	stop := context.AfterFunc(c.background, f.abort)
	f.timer = time.AfterFunc(c.cfg.FillIdle, f.abort)
	defer stop()
	defer f.giveUp()
	defer f.timer.Stop()
	chain.ServeHTTP(&discardedResponse{ctx: f.ctx}, r.WithContext(context.WithValue(f.ctx, refreshKey{}, f)))
}

// abort ends a refresh that has not reached its door in time, or that must end because the cache is
// closed.
func (f *refresh) abort() {
	defer f.cache.recoverBackground("refresh")
	f.cancel() // before state is read: see releaseWalk
	f.giveUp()
	// A walk that was taken over has a flight, which ends by itself or with the cache.
	if f.state.Load() != refreshTaken {
		f.leaveUnderWay() // a handler that hangs does not delay Close
	}
}

// giveUp releases a walk that no door has taken over. The next client of the key validates for
// itself: the chain may have refused this request, and may let the client's pass.
func (f *refresh) giveUp() {
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		f.cache.unreached.add(f.key)
		f.walk.hc.Release()
	}
}

// leaveUnderWay notes that the refresh is no longer under way.
func (f *refresh) leaveUnderWay() { f.left.Do(func() { f.cache.underWay.leave(f.number) }) }

// releaseWalk releases a walk that was taken over.
func (f *refresh) releaseWalk() {
	f.walk.hc.Release()
	f.state.Store(refreshOver)
	if f.second != nil {
		close(f.second.done)
	}
	if f.ctx.Err() != nil {
		f.leaveUnderWay() // Close may be waiting
	}
}

// unreached remembers keys whose last refresh did not reach its door. Its size is fixed: if two
// keys share a cell, it remembers the later one.
type unreached [256]atomic.Uint64

// cell returns the cell of key, and the mark that stands for key in it.
func (u *unreached) cell(key cirque.CacheKey) (*atomic.Uint64, uint64) {
	hash := key.PrimaryHash()
	return &u[hash[0]], binary.LittleEndian.Uint64(hash[8:]) | 1
}

func (u *unreached) add(key cirque.CacheKey) {
	place, mark := u.cell(key)
	place.Store(mark)
}

// remove removes key, and reports whether it was there.
func (u *unreached) remove(key cirque.CacheKey) bool {
	place, mark := u.cell(key)
	return place.Load() == mark && place.CompareAndSwap(mark, 0)
}

// has reports whether key is there.
func (u *unreached) has(key cirque.CacheKey) bool {
	place, mark := u.cell(key)
	return place.Load() == mark
}
