package middleware

import (
	"net/http"
	"time"
)

// Handler returns a handler that serves from the cache what it may, and asks next for the rest. A
// nil next is http.DefaultServeMux.
//
// next runs on the goroutine of the request that caused it, with a request of its own whose context
// keeps its values; cancellation, a deadline included, reaches it only once its answer has proved
// uncacheable, or from the start where nobody else can be waiting for it: what was uncacheable
// before, a request with no-store, a HEAD. ServeHTTP returns after next has; where a deadline has
// passed by then, and nothing was sent, the answer is 504. What next may do with its ResponseWriter
// is what net/http allows, but for hijacking: requests that ask for an upgrade, and CONNECT, get
// the server's own writer and no cache. Those whose method is unsafe get a writer around the
// server's that can do the same, and invalidate what is stored as any unsafe request does (RFC 9111
// §4.4). A next that returns without having written anything, not even a status, has nothing
// stored; handlers around the cache may still answer then.
func (c *Cache) Handler(next http.Handler) http.Handler {
	c.mustBeNew()
	if next == nil {
		next = http.DefaultServeMux
	}
	return &handlerDoor{c, next}
}

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
	x := transaction{clientRequest: newClientRequest(h.cache, doorHandler, r), origin: h, meter: meter{arrived: time.Now()}}
	defer x.end()
	from, err := x.plan()
	if err != nil {
		if !x.answerTimedOut(w) {
			panic(http.ErrAbortHandler) // the client is gone
		}
		return
	}
	switch from {
	case fromCache:
		if x.serveHTTP(w) != nil {
			cutShort(w)
		}
	case fromNowhere:
		// RFC 9211 §2: nothing is said about what the cache makes up itself.
		http.Error(w, "not in the cache, and the request asks for nothing else", http.StatusGatewayTimeout)
	default:
		h.serveFromOrigin(x.heap(), from, w, r)
	}
}

// serveFromOrigin asks next, on behalf of the cache or of this client alone.
func (h *handlerDoor) serveFromOrigin(x *transaction, from source, w http.ResponseWriter, r *http.Request) {
	defer x.end()
	if x.mayStore(from) {
		h.fetch(x, w)
		return
	}
	if r.Header["Upgrade"] != nil {
		r = x.req // without an upgrade that the cache must not pass on
	}
	h.ask(x, w, r)
}

// fetch asks next on behalf of the cache, again where the first answer is of no use.
func (h *handlerDoor) fetch(x *transaction, w http.ResponseWriter) {
	for h.fly(x, w) {
		if h.askThroughChain(x, w) {
			return
		}
	}
}

// fly is one fetch; it reports whether next is to be asked again.
func (h *handlerDoor) fly(x *transaction, w http.ResponseWriter) (retry bool) {
	flight := x.startFlight()
	defer flight.end()
	return h.ask(x, w, x.upstreamRequest(withServer(flight.ctx)))
}

// revalidate implements origin.
func (h *handlerDoor) revalidate(x *transaction) { h.fetch(x, nil) }

// ask runs next and carries its answer to where it belongs. A nil w is a client that is not there.
func (h *handlerDoor) ask(x *transaction, w http.ResponseWriter, r *http.Request) (retry bool) {
	x.noteAsked()
	rw := &responseWriter{x: x, client: w, ctx: r.Context(), method: r.Method, header: make(http.Header), declared: -1}
	defer rw.release()
	h.call(rw, r)
	rw.finish()
	return rw.fate == fateRetry
}

// call runs next. If the answer is discarded, http.ErrAbortHandler counts as a return. If the answer
// goes into a fill, http.ErrAbortHandler ends the fill; the client's reader finds out whether that
// cuts the client's own answer short.
func (h *handlerDoor) call(rw *responseWriter, r *http.Request) {
	defer func() {
		if rw.fate == undecided || rw.fate == fatePass {
			return // whatever next panics with goes on its way
		}
		if p := recover(); p == http.ErrAbortHandler {
			rw.broken = true
		} else if p != nil {
			panic(p)
		}
	}()
	h.next.ServeHTTP(rw, r)
}
