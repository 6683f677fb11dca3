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

// IsRefresh reports whether ctx is the context of a request that a cache makes by itself: to
// revalidate in the background what it has served stale (RFC 5861 §3), or to ask once more where
// the first answer was of no use. Handlers around and behind the cache can tell such requests from
// those of clients: a log, a metric or a rate limiter may count them apart. What handlers around
// the cache write in answer to one reaches nobody.
func IsRefresh(ctx context.Context) bool { return ctx.Value(refreshKey{}) != nil }

type refreshKey struct{}

// refresh is a background revalidation at the Handler door: a request that goes through the whole
// chain of handlers, as a client's would, and carries the walk that its answer is for. The door
// that finds the walk's key takes it over.
//
// Until then nobody drives the walk. INVARIANT: whoever changes state from refreshPending owns the
// walk, and releases it.
type refresh struct {
	cache  *Cache
	walk   *transaction // with the write permit
	key    cirque.CacheKey
	wants  selection // of what is stored under key
	served time.Time // when what is revalidated was last updated
	ctx    context.Context
	cancel context.CancelFunc
	state  atomic.Uint32
	timer  *time.Timer // bounds the time until a door takes the walk over; nil: the client's context does
	number uint64      // among what is under way
	left   sync.Once

	second *secondAsking // nil for a revalidation in the background
}

// States of a refresh.
const (
	refreshPending uint32 = iota // no door has taken the walk over
	refreshTaken                 // one has
	refreshOver                  // the walk is released
)

// refreshOf returns the refresh that ctx carries; nil where there is none, or a door has taken its
// walk over: behind that door the request is one like any other.
func refreshOf(ctx context.Context) *refresh {
	if f, _ := ctx.Value(refreshKey{}).(*refresh); f != nil && f.state.Load() != refreshTaken {
		return f
	}
	return nil
}

// run sends the request through the chain. It returns when the chain does.
func (f *refresh) run(chain http.Handler, r *http.Request) {
	c := f.cache
	stop := context.AfterFunc(c.background, f.abort)
	f.timer = time.AfterFunc(c.cfg.FillIdle, f.abort)
	defer stop()
	defer f.giveUp()
	defer f.timer.Stop()
	chain.ServeHTTP(&discardedResponse{ctx: f.ctx}, r.WithContext(context.WithValue(f.ctx, refreshKey{}, f)))
}

// abort ends a refresh that has not come to its door in time, or that the cache cannot wait for
// when it is closed.
func (f *refresh) abort() {
	defer f.cache.recoverBackground("refresh")
	f.cancel() // before state is read: see finish
	f.giveUp()
	if f.state.Load() != refreshTaken { // whose flight ends by itself, and with the cache
		f.leaveUnderWay() // a handler that hangs does not hold Close up
	}
}

// giveUp releases a walk that no door has taken over. The next client of the key validates by itself:
// what refuses a request of the cache's own may let a client's pass.
func (f *refresh) giveUp() {
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		f.cache.unreached.add(f.key)
		f.walk.hc.Release()
	}
}

// leaveUnderWay says that the refresh is no longer under way.
func (f *refresh) leaveUnderWay() { f.left.Do(func() { f.cache.underWay.leave(f.number) }) }

// releaseWalk releases the walk.
func (f *refresh) releaseWalk() {
	f.walk.hc.Release()
	f.state.Store(refreshOver)
	if f.second != nil {
		close(f.second.done)
	}
	if f.ctx.Err() != nil {
		f.leaveUnderWay() // Close is waiting
	}
}

// unreached remembers keys whose last refresh did not come to its door. It is bounded: of two keys
// in one place the later one is remembered.
type unreached [256]atomic.Uint64

func (u *unreached) cell(key cirque.CacheKey) (*atomic.Uint64, uint64) {
	hash := key.PrimaryHash()
	return &u[hash[0]], binary.LittleEndian.Uint64(hash[8:]) | 1
}

func (u *unreached) add(key cirque.CacheKey) {
	place, mark := u.cell(key)
	place.Store(mark)
}

// remove reports whether key was there.
func (u *unreached) remove(key cirque.CacheKey) bool {
	place, mark := u.cell(key)
	return place.Load() == mark && place.CompareAndSwap(mark, 0)
}
