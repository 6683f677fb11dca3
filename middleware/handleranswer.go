package middleware

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// decide decides the fate of the handler's answer, whose header is complete, and begins to carry it
// out.
func (rw *responseWriter) decide() {
	x := rw.x
	defer func() {
		if p := recover(); p != nil {
			// A hook or the Storage panicked. The handler may finish its answer; then waitForServed
			// raises the panic again.
			rw.fate, rw.servePanicked = fateDiscard, p
			rw.cancel(errDiscarded)
		}
	}()
	a := &reply{status: rw.status, header: rw.snapshot, length: rw.expected()}
	if x.flight != nil && x.flight.ctx.Err() != nil {
		x.invalidate(a, nil)
		rw.endCancelled()
		return
	}
	if rw.silent {
		x.upstream.as = storeNothing
	}
	d := x.decide(a)
	rw.fate, rw.declared = d.fate, max(rw.declared, d.length)
	switch d.fate {
	case fatePass:
		if x.flight != nil {
			x.flight.pass()
		}
		rw.passHeader()
		if x.req.Method == http.MethodHead && rw.method != http.MethodHead {
			// Config.HeadAsGet turned a HEAD into a GET: nobody wants the body.
			rw.fate = fateDiscard
			rw.cancel(errDiscarded)
		}
	case fateFill, fateDiscard:
		rw.serve()
	case fateRetry:
		x.flight.cancel(errDiscarded)
	}
}

// cancel ends the fetch, if there is one. Without a fetch, the handler works on the client's own
// request.
func (rw *responseWriter) cancel(cause error) {
	if rw.x.flight != nil {
		rw.x.flight.cancel(cause)
	}
}

// expected is the length of the body to come; negative if unknown.
func (rw *responseWriter) expected() int64 {
	if !bodyAllowed(rw.status) {
		return 0
	}
	return rw.declared
}

// passHeader sends the header to the client, for an answer that is passed on.
func (rw *responseWriter) passHeader() {
	if rw.client == nil {
		rw.x.flight.cancel(errDiscarded)
		return
	}
	out := rw.client.Header()
	if rw.silent {
		rw.x.uncached(cirque.OriginNotCache) // those who wait for the answer ask for themselves
		rw.outer = maps.Clone(out)
	}
	merge(out, rw.snapshot)
	rw.x.setCacheStatus(out, nil)
	if !rw.silent {
		rw.client.WriteHeader(rw.status)
	}
	rw.x.headerSent(rw.status) // by the server, if nobody writes one
}

// serve sends the client its answer from the cache, on another goroutine.
func (rw *responseWriter) serve() {
	if rw.client == nil {
		return
	}
	if rw.x.answerTimedOut(rw.client) {
		rw.x.hc.Release() // a reader that does not read would delay the fill
		return
	}
	rw.serveEnded = make(chan struct{})
	go func() {
		growStack()
		defer close(rw.serveEnded)
		defer func() { rw.servePanicked = recover() }()
		rw.serveErr = rw.x.serveHTTP(rw.client)
	}()
}

// endCancelled ends a fetch that was cancelled before the handler wrote a header. What the handler
// writes now is neither stored nor sent: it does not represent the resource, and may be incomplete.
func (rw *responseWriter) endCancelled() {
	rw.fate = fateDiscard
	switch x := rw.x; {
	case x.endFailedFetch(context.Cause(x.flight.ctx)):
		rw.serve()
	case rw.client != nil && !x.answerTimedOut(rw.client):
		http.Error(rw.client, "the fetch was cut short", http.StatusServiceUnavailable)
	}
}

// endSilent ends the answer of a handler that has returned without having written anything.
// net/http would send an empty 200. But some routers have handlers that return errors, and write
// the answer to this very ResponseWriter after all middleware has returned. So nothing is stored,
// and the answer is left to the server, or to whoever still writes.
func (rw *responseWriter) endSilent() {
	rw.silent = true
	rw.status, rw.snapshot, rw.declared = http.StatusOK, canonicalHeader(rw.header), -1
	rw.decide()
	rw.silent = rw.fate == fatePass && rw.client != nil
}

// answerLate passes on a header that is written after a silent handler has returned.
func (rw *responseWriter) answerLate(status int) {
	rw.silent = false
	rw.status, rw.snapshot = status, canonicalHeader(rw.header)
	clear(rw.client.Header())
	maps.Copy(rw.client.Header(), rw.outer)
	rw.passHeader()
}

// trailer returns the trailer fields that the handler set: those that it announced, and those with
// http.TrailerPrefix.
func (rw *responseWriter) trailer() http.Header {
	var trailer http.Header
	set := func(name string, values []string) {
		if trailer == nil {
			trailer = make(http.Header)
		}
		trailer[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	for name := range field.Tokens(rw.snapshot["Trailer"]) {
		if values := rw.header[http.CanonicalHeaderKey(name)]; len(values) > 0 {
			set(name, values)
		}
	}
	for name, values := range rw.header {
		if name, ok := strings.CutPrefix(name, http.TrailerPrefix); ok && len(values) > 0 {
			set(name, values)
		}
	}
	return trailer
}

// passTrailer gives the server the trailer fields that the handler set after the header.
func (rw *responseWriter) passTrailer() {
	if rw.client == nil {
		return
	}
	out := rw.client.Header()
	for name, values := range rw.trailer() {
		if out[http.TrailerPrefix+name] == nil && !field.Contains(rw.snapshot["Trailer"], name) {
			name = http.TrailerPrefix + name
		}
		out[name] = values
	}
}
