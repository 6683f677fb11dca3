package middleware

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/url"
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
	walk   *exchange // with the write permit
	key    cirque.CacheKey
	wants  selection // of what is stored under key
	served time.Time // when what is revalidated was last updated
	ctx    context.Context
	cancel context.CancelFunc
	state  atomic.Uint32
	timer  *time.Timer // bounds the time until a door takes the walk over; nil: the client's context does
	number uint64      // among what is under way
	ended  sync.Once

	again *secondAsking // nil for a revalidation in the background
}

// States of a refresh.
const (
	refreshPending uint32 = iota // no door has taken the walk over
	refreshTaken                 // one has
	refreshOver                  // the walk is released
)

// selection is what a request selects of what is stored under its key: a variant by the fields of
// record, and by what the request was rewritten to.
type selection struct {
	record  *cirque.VaryRecord // nil where none is known
	variant cirque.HashBinary
}

// selects returns what x's request selects if record is the one under its key.
func (x *exchange) selects(record *cirque.VaryRecord) selection {
	b := cirque.NewVarianceBuilder()
	if record != nil {
		b = cirque.VaryVariance(record.Fields, x.req.Header, record.Epoch)
	}
	if extra := x.varianceHook(); extra != nil {
		extra(b)
	}
	variant, _ := b.Finalize()
	return selection{record, variant}
}

// refreshOf returns the refresh that ctx carries; nil where there is none, or a door has taken its
// walk over: behind that door the request is one like any other.
func refreshOf(ctx context.Context) *refresh {
	if f, _ := ctx.Value(refreshKey{}).(*refresh); f != nil && f.state.Load() != refreshTaken {
		return f
	}
	return nil
}

// surroundings returns the handler that a background revalidation of r goes through; nil where
// there is none, and clients wait, which is logged once.
func (c *Cache) surroundings(r *http.Request) http.Handler {
	chain, why := c.chainOf(r)
	if why != "" {
		c.waitsSaid.Do(func() { c.logger().Warn("cirque: no background revalidation: " + why) })
	}
	return chain
}

// chainOf returns the handler that a request like r goes through from the start. It is nil where r
// has no such handler, or the server adds values to its contexts that only Config.BackgroundContext
// can add to a new one.
func (c *Cache) chainOf(r *http.Request) (chain http.Handler, why string) {
	if c.cfg.Refresh != nil {
		return c.cfg.Refresh(r), ""
	}
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	switch {
	case server == nil || server == noServer:
		return nil, "the request has no *http.Server in its context; set Config.Refresh"
	case c.cfg.BackgroundContext == nil && (server.BaseContext != nil || server.ConnContext != nil):
		return nil, "the server has a BaseContext or a ConnContext; set Config.BackgroundContext or Config.Refresh"
	case server.Handler == nil:
		return http.DefaultServeMux, ""
	}
	return server.Handler, ""
}

// newRefreshRequest returns a GET like the one that the client of r sent, before routers and
// handlers around the cache changed its URL. Its header must have lost the client's own wishes.
func newRefreshRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	again := newBackgroundRequest(ctx, r, header)
	if sent, err := url.ParseRequestURI(r.RequestURI); err == nil { // as servers do
		again.URL = sent
	}
	return again
}

// run sends the request through the chain. It returns when the chain does.
func (f *refresh) run(chain http.Handler, r *http.Request) {
	c := f.walk.cache
	stop := context.AfterFunc(c.background, f.abort)
	f.timer = time.AfterFunc(c.cfg.FillIdle, f.abort)
	defer stop()
	defer f.drop()
	defer f.timer.Stop()
	chain.ServeHTTP(&discardedResponse{ctx: f.ctx}, r.WithContext(context.WithValue(f.ctx, refreshKey{}, f)))
}

// abort ends a refresh that has not come to its door in time, or that the cache cannot wait for
// when it is closed.
func (f *refresh) abort() {
	defer f.walk.cache.recoverBackground("refresh")
	f.cancel() // before state is read: see finish
	f.drop()
	if f.state.Load() != refreshTaken { // whose flight ends by itself, and with the cache
		f.end() // a handler that hangs does not hold Close up
	}
}

// drop releases a walk that no door has taken over. The next client of the key validates by itself:
// what refuses a request of the cache's own may let a client's pass.
func (f *refresh) drop() {
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		f.walk.cache.unreached.add(f.key)
		f.walk.hc.Release()
	}
}

// end says that the refresh is no longer under way.
func (f *refresh) end() { f.ended.Do(func() { f.walk.cache.underWay.end(f.number) }) }

// take makes h drive the walk, if that is for what r is for here.
func (f *refresh) take(h *handlerDoor, r *http.Request) bool {
	c := h.cache
	if f.walk.cache != c || f.ctx.Err() != nil {
		return false
	}
	var x exchange
	x.begin(c, doorHandler, h, r)
	if ok, _ := c.policy.RequestCacheable(x.ruled()); !ok || x.filtered() {
		return false
	}
	if key, ok := c.key(doorHandler, &x.target, x.req); !ok || key.PrimaryHash() != f.key.PrimaryHash() {
		return false
	}
	if x.selects(f.wants.record) != f.wants {
		return false // rewritten to another resource, by what is gone from the request: a Host, say
	}
	if !f.state.CompareAndSwap(refreshPending, refreshTaken) {
		return false
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	w := f.walk
	w.origin, w.req, w.said, w.target, w.client = h, x.req, x.said, x.target, x.client
	w.stripped = w.stripped || x.stripped
	w.hc.SetTrace(cirque.ContextCacheTrace(x.client))
	return true
}

// finish releases the walk.
func (f *refresh) finish() {
	f.walk.hc.Release()
	f.state.Store(refreshOver)
	if f.again != nil {
		close(f.again.done)
	}
	if f.ctx.Err() != nil {
		f.end() // Close is waiting
	}
}

// refresh takes the request of a refresh, which may be on its way to another door.
func (h *handlerDoor) refresh(f *refresh, w http.ResponseWriter, r *http.Request) {
	switch {
	case f.take(h, r):
	case f.ctx.Err() != nil || f.state.Load() == refreshOver:
		http.Error(w, "too late for a revalidation", http.StatusServiceUnavailable)
		return
	default:
		h.next.ServeHTTP(w, r)
		return
	}
	defer f.finish()
	if f.again != nil {
		f.again.fly(h, f.walk)
		return
	}
	f.walk.revalidate(f.served)
	f.walk.setCacheStatus(w.Header(), nil)
	w.WriteHeader(http.StatusNoContent) // for logs around the cache
}

// secondAsking is a request that goes through the chain because the answer to the first one was of
// no use. A router's state has moved on with that: asked with it again, next would be another
// handler, or none.
type secondAsking struct {
	client   http.ResponseWriter // of the walk; nil: nobody is there
	done     chan struct{}       // closed when the door is done
	panicked any                 // what the door panicked with; to be read after done
}

// fly asks h's next, for the walk's client.
func (s *secondAsking) fly(h *handlerDoor, x *exchange) {
	defer func() {
		if s.panicked = recover(); s.panicked != nil {
			panic(s.panicked)
		}
	}()
	for h.fly(x, s.client) {
	}
}

// askAgain asks for the second time, on behalf of x, whose client w is. It reports false where no
// request of the cache's own comes to the door: then next can only be asked with the request that
// it got before.
func (h *handlerDoor) askAgain(x *exchange, w http.ResponseWriter) bool {
	c, first := h.cache, x.client
	chain, _ := c.chainOf(x.req)
	if chain == nil || x.post != nil { // a POST is not made twice
		return false
	}
	ctx, cancel := context.WithCancel(endingWith{first, c.newContext(x.req)})
	defer cancel()
	f := &refresh{
		walk: x, key: x.hc.Key(), wants: x.selects(x.hc.VaryRecord()), ctx: ctx, cancel: cancel,
		again: &secondAsking{client: w, done: make(chan struct{})},
	}
	r := newRefreshRequest(context.WithValue(ctx, refreshKey{}, f), x.req, x.said.Clone())
	r.Method = x.req.Method
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		defer f.again.recoverChain(c)
		chain.ServeHTTP(&discardedResponse{ctx: ctx}, r)
	}()
	timer := time.NewTimer(c.cfg.LockWait)
	defer timer.Stop()
	select {
	case <-f.again.done:
	case <-returned:
	case <-timer.C: // the first request may hold what the second one waits for
	}
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		return false
	}
	<-f.again.done // next has returned; what handlers around it do until they return is for nobody
	if f.again.panicked != nil {
		panic(f.again.panicked)
	}
	return true
}

// endingWith is a context that ends with one context, and has the values of another.
type endingWith struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c endingWith) Value(key any) any { return c.values.Value(key) }

// recoverChain reports what the chain panicked with, unless that is the door's: then it is raised
// again where the client is.
func (s *secondAsking) recoverChain(c *Cache) {
	p := recover()
	if p == nil || p == http.ErrAbortHandler {
		return
	}
	select {
	case <-s.done:
		if s.panicked != nil {
			return
		}
	default:
	}
	c.reportPanic("second asking", p)
}

// unreached remembers keys whose last refresh did not come to its door. It is bounded: of two keys
// in one place the later one is remembered.
type unreached [256]atomic.Uint64

func (u *unreached) place(key cirque.CacheKey) (*atomic.Uint64, uint64) {
	hash := key.PrimaryHash()
	return &u[hash[0]], binary.LittleEndian.Uint64(hash[8:]) | 1
}

func (u *unreached) add(key cirque.CacheKey) {
	place, mark := u.place(key)
	place.Store(mark)
}

// remove reports whether key was there.
func (u *unreached) remove(key cirque.CacheKey) bool {
	place, mark := u.place(key)
	return place.Load() == mark && place.CompareAndSwap(mark, 0)
}

// discardedResponse is the http.ResponseWriter of a refresh. It can do what a server's can, but for
// hijacking.
type discardedResponse struct {
	ctx    context.Context
	header http.Header
}

// Header implements http.ResponseWriter.
func (d *discardedResponse) Header() http.Header {
	if d.header == nil {
		d.header = make(http.Header)
	}
	return d.header
}

// WriteHeader implements http.ResponseWriter.
func (*discardedResponse) WriteHeader(int) {}

// Write implements io.Writer.
func (*discardedResponse) Write(p []byte) (int, error) { return len(p), nil }

// WriteString implements io.StringWriter.
func (*discardedResponse) WriteString(s string) (int, error) { return len(s), nil }

// ReadFrom implements io.ReaderFrom.
func (*discardedResponse) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// Flush implements http.Flusher.
func (*discardedResponse) Flush() {}

// CloseNotify implements http.CloseNotifier.
func (d *discardedResponse) CloseNotify() <-chan bool { return closeNotify(d.ctx) }

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are for http.ResponseController.

// SetReadDeadline does nothing: there is nothing to read.
func (*discardedResponse) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: there is nobody to write to.
func (*discardedResponse) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex does nothing: there is nothing to read.
func (*discardedResponse) EnableFullDuplex() error { return nil }

// closeNotify returns what http.CloseNotifier's method does, for a request whose context is ctx.
func closeNotify(ctx context.Context) <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(ctx, func() { gone <- true })
	return gone
}
