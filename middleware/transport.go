package middleware

import (
	"net/http"
	"time"
)

// Transport returns a RoundTripper that answers from the cache what it may, and asks base for the
// rest. A nil base is http.DefaultTransport.
//
// It keeps the RoundTripper contract: requests are not modified, their bodies are closed on every
// path, responses and their headers are the caller's. Cancelling a request, by its context or its
// Cancel channel, fails the caller's reading; a fill that it caused goes on for the others. A fetch
// that nobody else can be waiting for ends with its caller. A fetch keeps the values of its
// caller's context, even if it outlives the call.
//
// A response that was fetched or validated for the request has the protocol and TLS state of base's
// response. One from the store says HTTP/1.1 and has no TLS state.
//
// A request's URL and Host say where it goes. What a server's request had, and a reverse proxy left
// in it, does not count: RequestURI and TLS.
//
// A transport that adds credentials goes outside the cache, which then sees them: an
// oauth2.Transport whose Base is the cache's, and not the reverse. Requests to which base adds
// Authorization, or a Cookie, look alike to the cache, whosever they are. Where the Request of
// base's responses shows what it added, an Authorization counts as if the caller had sent it (RFC
// 9111 §3.5), and in a Private cache without SingleUser such responses are not stored. Neither is
// what varies by a field that base added or replaced. A base whose responses have no Request, or
// that of the caller, tells nothing.
func (c *Cache) Transport(base http.RoundTripper) http.RoundTripper {
	c.mustBeNew()
	if base == nil {
		base = http.DefaultTransport
	}
	return &transportDoor{c, base}
}

type transportDoor struct {
	cache *Cache
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transportDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.Header == nil {
		return t.base.RoundTrip(r) // whose error it is
	}
	own := canonical(r)
	switch {
	case keepsOut(own):
		return t.keepOut(r, own)
	case hasCancel(r):
		return roundTripCancellable(r, t.RoundTrip)
	case r.Method == "" || undeclared(r):
		return t.roundTripCompleted(r)
	}
	x := transaction{clientRequest: newClientRequest(t.cache, doorTransport, own), origin: t, meter: meter{arrived: time.Now()}}
	done := true // with the request's body, unless the origin gets it
	defer func() {
		x.hc.Release()
		if done && r.Body != nil {
			_ = r.Body.Close()
		}
	}()
	from, err := x.plan()
	switch {
	case err != nil:
		return t.handOn(result{err: err, meter: x.meter})
	case from == fromCache:
		return t.handOn(result{response: x.response(r), meter: x.meter})
	case from == fromNowhere:
		return t.handOn(result{response: unavailable(r), meter: x.meter})
	}
	done = false
	y := x.heap()
	if y.mayStore(from) {
		return t.handOn(t.fetch(y, r))
	}
	return t.handOn(t.askUncached(y, r))
}

// handOn returns what the caller gets. If no body of the answer does so later, it counts the
// request.
func (t *transportDoor) handOn(a result) (*http.Response, error) {
	if a.response == nil {
		a.meter.count(t.cache, doorTransport)
	} else if _, counts := a.response.Body.(*clientBody); !counts {
		a.meter.count(t.cache, doorTransport)
	}
	return a.response, a.err
}

// roundTripCompleted is RoundTrip for a request that does not say all that the rules have to know: its
// method, or whether it has content.
func (t *transportDoor) roundTripCompleted(r *http.Request) (*http.Response, error) {
	own := *r
	if own.Method == "" {
		own.Method = http.MethodGet
	}
	if undeclared(&own) {
		declareContent(&own)
	}
	response, err := t.RoundTrip(&own)
	if response != nil {
		response.Request = r
	}
	return response, err
}

// askUncached sends the request on for its client alone, and only looks at the answer.
func (t *transportDoor) askUncached(x *transaction, r *http.Request) result {
	defer x.hc.Release()
	x.noteAsked()
	response, err := t.roundTrip(r)
	if err != nil {
		return result{err: err, meter: x.meter}
	}
	handedOn := false
	defer func() {
		if !handedOn { // a hook or the Storage panicked
			_ = response.Body.Close()
		}
	}()
	x.decide(replyOf(response))
	handedOn = true
	return x.passedResult(x.withCacheStatus(response, r))
}
