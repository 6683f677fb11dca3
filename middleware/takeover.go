package middleware

import (
	"context"
	"net/http"
	"time"
)

// takeOver makes h drive the walk, if r selects here what the walk is for. It reports whether it
// did.
func (f *refresh) takeOver(h *handlerDoor, r *http.Request) bool {
	c := h.cache
	if f.cache != c || f.ctx.Err() != nil {
		return false
	}
	q := newClientRequest(c, doorHandler, r)
	if ok, _ := q.cacheable(); !ok || q.filtered() {
		return false
	}
	if key, ok := c.key(doorHandler, &q.target, q.req); !ok || key.PrimaryHash() != f.key.PrimaryHash() {
		return false
	}
	if q.selectionFor(f.wants.record) != f.wants {
		// The request was rewritten to another resource, because it lacks something, such as a
		// Host.
		return false
	}
	if !f.state.CompareAndSwap(refreshPending, refreshTaken) {
		return false
	}
	if f.timer != nil {
		f.timer.Stop()
	}
	x := f.walk
	q.stripped = q.stripped || x.stripped
	q.background = x.background
	x.clientRequest, x.revalidator = q, h
	x.hc.SetTrace(f.cache.traceOf(x.client))
	return true
}

// refresh answers the request of a refresh. If that is for another door, it goes on to next.
func (h *handlerDoor) refresh(f *refresh, w http.ResponseWriter, r *http.Request) {
	if !f.takeOver(h, r) {
		if f.ctx.Err() != nil || f.state.Load() == refreshOver {
			http.Error(w, "the time for this revalidation is over", http.StatusServiceUnavailable)
			return
		}
		h.next.ServeHTTP(w, r)
		return
	}
	defer f.releaseWalk()
	if f.second != nil {
		f.second.fetch(h, f.walk)
		return
	}
	f.walk.revalidate(f.updated)
	f.walk.setCacheStatus(w.Header(), nil)
	w.WriteHeader(http.StatusNoContent) // for logs around the cache
}

// secondRequest is a request that goes through the whole chain because the answer to the first one
// could not be used. The first one has changed the state of the router: called again in that state,
// next could be another handler, or none.
type secondRequest struct {
	client   http.ResponseWriter // the client of the walk; nil if there is none
	done     chan struct{}       // closed when the door has finished
	panicked any                 // what the door panicked with; read after done is closed
}

// fetch calls the next of h, for the client of the walk.
func (s *secondRequest) fetch(h *handlerDoor, x *transaction) {
	defer func() {
		if s.panicked = recover(); s.panicked != nil {
			panic(s.panicked)
		}
	}()
	for h.fly(x, s.client) {
	}
}

// askThroughChain asks for the second time, on behalf of x, whose client is w. It returns false if
// no request of the cache's own reaches the door. Then next can only be called with the request
// that it got before.
func (h *handlerDoor) askThroughChain(x *transaction, w http.ResponseWriter) bool {
	c, first := h.cache, x.client
	chain, _ := c.chainOf(x.req)
	if chain == nil || x.upstream.as == storePost { // a POST is not repeated
		return false
	}
	ctx, cancel := context.WithCancel(endingWith{first, c.newContext(x.req)})
	defer cancel()
	f := &refresh{
		cache: c, walk: x, key: x.hc.Key(), wants: x.selectionFor(x.hc.VaryRecord()), ctx: ctx, cancel: cancel,
		second: &secondRequest{client: w, done: make(chan struct{})},
	}
	r := newRefreshRequest(context.WithValue(ctx, refreshKey{}, f), x.req, x.clientHeader.Clone())
	r.Method = x.req.Method
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		defer f.second.recoverChain(c)
		chain.ServeHTTP(&discardedResponse{ctx: ctx}, r)
	}()
	timer := time.NewTimer(c.cfg.LockWait)
	defer timer.Stop()
	select {
	case <-f.second.done:
	case <-returned:
	case <-timer.C: // the first request may hold something for which the second one waits
	}
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		return false
	}
	<-f.second.done // next has returned; the handlers around it may still be running
	if f.second.panicked != nil {
		panic(f.second.panicked)
	}
	return true
}

// recoverChain logs a panic of the chain. It does not log the door's panic: that is raised again on
// the client's goroutine.
func (s *secondRequest) recoverChain(c *Cache) {
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
	c.reportPanic("second request", p)
}
