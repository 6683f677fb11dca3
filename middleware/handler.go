package middleware

import (
	"net/http"
)

// Handler returns a handler that answers from the cache what it may, and calls next for the rest. A
// nil next is http.DefaultServeMux.
//
// next runs on the goroutine of the request that caused it. It gets a request of its own, whose
// context has the values of the original one. Cancellation, a deadline included, reaches next only
// after its answer has proved uncacheable. It reaches next from the start if the request has no
// write permit, so that nobody else can be waiting for its answer: the key was uncacheable before,
// the request is a HEAD or a POST or has no-store, or it waited for another's fetch and may not
// share the answer. Once such an answer is being stored, cancellation no longer reaches next.
//
// ServeHTTP returns after next has returned. If a deadline has passed by then and nothing was sent,
// the answer is 504.
//
// next may use its ResponseWriter in every way that net/http allows, except hijacking. CONNECT, and
// requests that ask for an upgrade, get the server's own writer and no cache. If their method is
// unsafe, they get a writer around the server's that can do the same; their answers invalidate what
// is stored like those to any unsafe request (RFC 9111 §4.4).
//
// If next returns without having written anything, not even a status, nothing is stored. Handlers
// around the cache can still answer then.
func (c *Cache) Handler(next http.Handler) http.Handler {
	c.mustBeNew()
	if next == nil {
		next = http.DefaultServeMux
	}
	c.has[doorHandler].Store(true)
	return &handlerDoor{c, next}
}

// handlerDoor is the Handler door, in front of next.
type handlerDoor struct {
	cache *Cache
	next  http.Handler
}

// ServeHTTP implements http.Handler.
func (h *handlerDoor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := refreshOf(r.Context()); f != nil {
		h.refresh(f, w, r)
		return
	}
	switch {
	case r.Method == methodPurge:
		h.cache.servePurge(w, r)
		return
	case keepsOut(r):
		h.keepOut(w, r)
		return
	}
	if undeclared(r) {
		declareContent(r)
	}
	x := transaction{clientRequest: newClientRequest(h.cache, doorHandler, r), revalidator: h, meter: h.cache.newMeter(doorHandler, r)}
	defer x.end()
	from, err := x.plan()
	if err != nil {
		if !x.answerTimedOut(w) {
			panic(http.ErrAbortHandler) // the client has left
		}
		return
	}
	switch from {
	case fromCache:
		if x.serveHTTP(w) != nil {
			cutShort(w)
		}
	case fromNowhere:
		// RFC 9211 §2: no Cache-Status, because the cache itself makes this answer.
		http.Error(w, "not in the cache, and the request has only-if-cached", http.StatusGatewayTimeout)
	default:
		h.serveFromOrigin(x.heap(), from, w, r)
	}
}

// serveFromOrigin calls next, on behalf of the cache or of this client alone.
func (h *handlerDoor) serveFromOrigin(x *transaction, from source, w http.ResponseWriter, r *http.Request) {
	defer x.end()
	if x.mayStore(from) {
		h.fetch(x, w)
		return
	}
	if r.Header["Upgrade"] != nil {
		r = x.req // without the Upgrade field, which the cache must not forward here
	}
	h.ask(x, w, r)
}

// fetch calls next on behalf of the cache, and again if the first answer cannot be used.
func (h *handlerDoor) fetch(x *transaction, w http.ResponseWriter) {
	for h.fly(x, w) {
		if h.askThroughChain(x, w) {
			return
		}
	}
}

// fly is one fetch. It returns true if next has to be called again.
func (h *handlerDoor) fly(x *transaction, w http.ResponseWriter) (retry bool) {
	flight := x.startFlight()
	defer flight.end()
	return h.ask(x, w, x.upstreamRequest(withServer(flight.ctx)))
}

// revalidate implements revalidator.
func (h *handlerDoor) revalidate(x *transaction) { h.fetch(x, nil) }

// ask calls next, and takes its answer to the client, into a fill, or both. w is nil if there is no
// client.
func (h *handlerDoor) ask(x *transaction, w http.ResponseWriter, r *http.Request) (retry bool) {
	x.noteAsked()
	defer x.countUndecided()
	rw := &responseWriter{x: x, client: w, ctx: r.Context(), method: r.Method, header: make(http.Header), declared: -1}
	defer rw.release()
	h.call(rw, r)
	rw.finish()
	return rw.fate == fateRetry
}

// call calls next. If the answer is discarded, http.ErrAbortHandler counts as a return. If the
// answer goes into a fill, http.ErrAbortHandler ends the fill; the client's reader then finds out
// whether the client's own answer must be cut short.
func (h *handlerDoor) call(rw *responseWriter, r *http.Request) {
	defer func() {
		if rw.fate == undecided || rw.fate == fatePass {
			return // a panic of next goes on to the server
		}
		if p := recover(); p == http.ErrAbortHandler {
			rw.broken = true
		} else if p != nil {
			panic(p)
		}
	}()
	h.next.ServeHTTP(rw, r)
}
