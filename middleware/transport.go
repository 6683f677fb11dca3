package middleware

import (
	"net/http"
)

// Transport returns a RoundTripper that answers from the cache what it may, and asks base for the
// rest. A nil base is http.DefaultTransport.
//
// It keeps the RoundTripper contract: requests are not modified, their bodies are closed on every
// path, and responses with their headers belong to the caller.
//
// If a request is cancelled, by its context or its Cancel channel, the caller's reading fails; a
// fill that the request caused goes on for the others. A fetch without the write permit ends with
// its caller, unless its answer is being stored; see [Cache.Handler] for which these are. A fetch
// keeps the values of its caller's context, even if it outlives the call.
//
// A response that was fetched or validated for the request has the protocol and the TLS state of
// base's response. A response from the Storage has the protocol HTTP/1.1 and no TLS state.
//
// The URL and Host of a request say where it goes. RequestURI and TLS do not count: a reverse proxy
// leaves there what a server's request had.
//
// A transport that adds credentials belongs outside the cache, so that the cache sees them: make
// the cache's transport the Base of an oauth2.Transport, not the reverse. If base adds
// Authorization, or a Cookie, the requests of all users look alike to the cache.
//
// The Request of base's responses can show what base has added. Then an added Authorization counts
// as if the caller had sent it (RFC 9111 §3.5), and in a Private cache without SingleUser such
// responses are not stored. A response is not stored either if it varies by a field that base added
// or replaced. If the Request of base's responses is nil, or is the caller's, it shows nothing.
func (c *Cache) Transport(base http.RoundTripper) http.RoundTripper {
	c.mustBeNew()
	if base == nil {
		base = http.DefaultTransport
	}
	c.has[doorTransport].Store(true)
	return &transportDoor{c, base}
}

// transportDoor is the Transport door, in front of base.
type transportDoor struct {
	cache *Cache
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transportDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.Header == nil {
		return t.base.RoundTrip(r) // base returns the error
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
	x := transaction{clientRequest: newClientRequest(t.cache, doorTransport, own), revalidator: t, meter: t.cache.newMeter(doorTransport, r)}
	done := true // the request's body can be closed; false if the origin gets it
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
		a.meter.count(t.cache)
	} else if _, counts := a.response.Body.(*clientBody); !counts {
		a.meter.count(t.cache)
	}
	return a.response, a.err
}

// roundTripCompleted is RoundTrip for a request that lacks something that the rules need: its
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

// askUncached sends the request for its client alone, and only looks at the answer.
func (t *transportDoor) askUncached(x *transaction, r *http.Request) result {
	defer x.hc.Release()
	x.noteAsked()
	defer x.countUndecided()
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
