package middleware

import (
	"context"
	"errors"
	"io"
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
	var x exchange
	x.begin(h.cache, doorHandler, h, r)
	defer x.hc.Release()
	to, err := x.plan()
	if err != nil {
		if !x.late(w) {
			panic(http.ErrAbortHandler) // the client is gone
		}
		return
	}
	switch to {
	case routeServe:
		if x.serveHTTP(w) != nil {
			cutShort(w)
		}
	case routeUnavailable:
		// RFC 9211 §2: nothing is said about what the cache makes up itself.
		http.Error(w, "not in the cache, and the request asks for nothing else", http.StatusGatewayTimeout)
	default:
		h.answerFromOrigin(x.moved(), to, w, r)
	}
}

// cutShort panics with what makes a server cut an answer short. Some handlers around the cache take
// that for a panic like any other and return, and the server would end the answer in order: so
// nothing more can be written before.
func cutShort(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
	panic(http.ErrAbortHandler)
}

// answerFromOrigin asks next, on behalf of the cache or of this client alone.
func (h *handlerDoor) answerFromOrigin(x *exchange, to route, w http.ResponseWriter, r *http.Request) {
	defer x.hc.Release()
	if x.mayForward(to) {
		h.forward(x, w)
		return
	}
	if r.Header["Upgrade"] != nil {
		r = x.req // less an upgrade that is not for us to make
	}
	h.ask(x, w, r)
}

// late answers a request whose deadline, which a handler around the cache has set, passed before
// there was an answer (RFC 9110 §15.6.5). It reports false where that is not so. A client who is
// gone cancels, and has no deadline.
func (x *exchange) late(w http.ResponseWriter) bool {
	if !errors.Is(x.client.Err(), context.DeadlineExceeded) {
		return false
	}
	http.Error(w, "the time for an answer is over", http.StatusGatewayTimeout)
	return true
}

// forward asks next on behalf of the cache, again where the first answer is of no use.
func (h *handlerDoor) forward(x *exchange, w http.ResponseWriter) {
	for h.fly(x, w) {
		if h.askAgain(x, w) {
			return
		}
	}
}

// fly is one fetch; it reports whether next is to be asked again.
func (h *handlerDoor) fly(x *exchange, w http.ResponseWriter) (retry bool) {
	x.flight = x.newFlight()
	defer x.flight.end()
	return h.ask(x, w, x.upstream(withServer(x.flight.ctx)))
}

// revalidate implements origin.
func (h *handlerDoor) revalidate(x *exchange) { h.forward(x, nil) }

// ask runs next and carries its answer to where it belongs. A nil w is a client that is not there.
func (h *handlerDoor) ask(x *exchange, w http.ResponseWriter, r *http.Request) (retry bool) {
	x.ask()
	rw := &responseWriter{x: x, client: w, ctx: r.Context(), method: r.Method, header: make(http.Header), declared: -1}
	defer rw.settle()
	h.call(rw, r)
	rw.returned = true
	rw.finish()
	return rw.mode == modeRetry
}

// call runs next. That it aborts an answer which nobody wants is as good as a return. Of one that
// goes into a fill it is the end of that; whether the client's own answer is cut short by it, the
// client's reader finds out.
func (h *handlerDoor) call(rw *responseWriter, r *http.Request) {
	defer func() {
		switch rw.mode {
		case modeRetry, modeDiscard, modeFill:
		default:
			return // whatever it panics with goes on its way
		}
		if p := recover(); p == http.ErrAbortHandler {
			rw.broken = true
		} else if p != nil {
			panic(p)
		}
	}()
	h.next.ServeHTTP(rw, r)
}

// serveHTTP sends the answer that the walk found. An error means that the client must not take what
// it got for a complete response.
func (x *exchange) serveHTTP(w http.ResponseWriter) error {
	header := w.Header()
	var a answer
	if len(header) == 0 {
		a = x.answer(header)
	} else {
		own := make(http.Header)
		a = x.answer(own)
		merge(header, own)
	}
	if a.body != nil {
		defer a.body.Close()
	}
	if header["Content-Type"] == nil {
		header["Content-Type"] = nil // what was stored without a type is not given one now
	}
	w.WriteHeader(a.status)
	if a.body == nil {
		if x.flight != nil && x.flight.fill.Load() != nil {
			_ = http.NewResponseController(w).Flush() // the fetch, and with it the request, may go on for long
		}
		return nil
	}
	to, done := x.cache.watched(w, &a)
	if done != nil {
		defer done()
	}
	if !a.live {
		// A body of known length: should the client be what failed, aborting changes nothing for
		// it.
		n, err := io.Copy(to, a.body)
		if err == nil && n < a.length {
			err = io.ErrUnexpectedEOF // the Storage has less than it said
		}
		return err
	}
	out := newLiveWriter(w, to, &a)
	defer out.end()
	if _, err := io.Copy(out, a.body); err != nil && out.err == nil {
		return err
	}
	if _, part := a.body.(*sectionReader); part {
		out.flush() // the fetch, and with it the request, may go on for long
	}
	out.end() // before the header changes
	for name, values := range a.flight.trailers() {
		header[http.TrailerPrefix+name] = values
	}
	return nil
}

// merge puts an answer's fields among those that handlers around the cache have set for the client
// already. Of what is a list, theirs stay too.
func merge(header, answer http.Header) {
	for name, values := range answer {
		switch name {
		case "Set-Cookie", "Vary", "Link", "Cache-Status", "Server-Timing":
			values = append(header[name][:len(header[name]):len(header[name])], values...)
		}
		header[name] = values
	}
}

type writerOnly struct{ io.Writer }
