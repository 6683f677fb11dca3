package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// takeOver makes h drive the walk, if that is for what r is for here.
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
		return false // rewritten to another resource, by what is gone from the request: a Host, say
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
	x.clientRequest, x.origin = q, h
	x.hc.SetTrace(cirque.ContextCacheTrace(x.client))
	return true
}

// refresh takes the request of a refresh, which may be on its way to another door.
func (h *handlerDoor) refresh(f *refresh, w http.ResponseWriter, r *http.Request) {
	switch {
	case f.takeOver(h, r):
	case f.ctx.Err() != nil || f.state.Load() == refreshOver:
		http.Error(w, "too late for a revalidation", http.StatusServiceUnavailable)
		return
	default:
		h.next.ServeHTTP(w, r)
		return
	}
	defer f.releaseWalk()
	if f.second != nil {
		f.second.fetch(h, f.walk)
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

// fetch asks h's next, for the walk's client.
func (s *secondAsking) fetch(h *handlerDoor, x *transaction) {
	defer func() {
		if s.panicked = recover(); s.panicked != nil {
			panic(s.panicked)
		}
	}()
	for h.fly(x, s.client) {
	}
}

// askThroughChain asks for the second time, on behalf of x, whose client w is. It reports false where no
// request of the cache's own comes to the door: then next can only be asked with the request that
// it got before.
func (h *handlerDoor) askThroughChain(x *transaction, w http.ResponseWriter) bool {
	c, first := h.cache, x.client
	chain, _ := c.chainOf(x.req)
	if chain == nil || x.upstream.as == storePost { // a POST is not made twice
		return false
	}
	ctx, cancel := context.WithCancel(endingWith{first, c.newContext(x.req)})
	defer cancel()
	f := &refresh{
		cache: c, walk: x, key: x.hc.Key(), wants: x.selectionFor(x.hc.VaryRecord()), ctx: ctx, cancel: cancel,
		second: &secondAsking{client: w, done: make(chan struct{})},
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
	case <-timer.C: // the first request may hold what the second one waits for
	}
	if f.state.CompareAndSwap(refreshPending, refreshOver) {
		return false
	}
	<-f.second.done // next has returned; what handlers around it do until they return is for nobody
	if f.second.panicked != nil {
		panic(f.second.panicked)
	}
	return true
}

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
