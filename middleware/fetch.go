package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// This file is how the Transport door asks the origin on behalf of the cache: on a goroutine that
// goes on if the client leaves.

// result is what RoundTrip returns.
type result struct {
	response *http.Response
	err      error
	meter    meter
}

// discard closes the response, because nobody wants it.
func (a result) discard() {
	if a.response != nil && a.response.Body != nil {
		if b, ok := a.response.Body.(*clientBody); ok {
			b.once.Do(func() {}) // whoever left was counted, or nobody was there
		}
		_ = a.response.Body.Close()
	}
}

// fetch asks the origin on behalf of the cache, and returns what the client of x gets.
func (t *transportDoor) fetch(x *transaction, r *http.Request) result {
	m := x.meter
	answers := make(chan result)
	// After RoundTrip returns, its caller may change the request.
	x.req = x.req.Clone(x.client)
	go func() {
		growStack()
		defer t.cache.recoverBackground("fetch")
		defer x.hc.Release()
		t.run(x, func(a result) {
			if a.response != nil {
				a.response.Request = r
			}
			select {
			case answers <- a:
			case <-x.client.Done():
				a.discard()
			}
		})
	}()
	select {
	case a := <-answers:
		return a
	case <-x.client.Done():
		return result{err: context.Cause(x.client), meter: m}
	}
}

// revalidate implements revalidator.
func (t *transportDoor) revalidate(x *transaction) { t.run(x, result.discard) }

// run asks the origin, delivers the answer exactly once, and returns when the fill, if there is
// one, has ended.
func (t *transportDoor) run(x *transaction, deliver func(result)) {
	delivered := false
	once := func(a result) {
		delivered = true
		deliver(a)
	}
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				t.cache.reportPanic("fetch", p)
			}
			if !delivered {
				deliver(result{err: fmt.Errorf("middleware: panic during the fetch: %v", p), meter: x.meter})
			}
			x.hc.Release()
		}
	}()
	for t.fly(x, once) {
	}
}

// fly is one fetch. It returns true if the origin has to be asked again.
func (t *transportDoor) fly(x *transaction, deliver func(result)) (retry bool) {
	flight := x.startFlight()
	ours := true // until the body of a passed response owns the flight
	defer func() {
		if ours {
			flight.end()
		}
	}()
	x.noteAsked()
	defer x.countUndecided()
	response, err := t.roundTrip(x.upstreamRequest(flight.ctx))
	if err != nil {
		deliver(x.failedResult(err))
		return false
	}
	body := response.Body
	defer func() {
		if ours {
			_ = body.Close()
		}
	}()
	a := replyOf(response)
	a.changed = changedBelow(x.sent().Header, response.Request)
	d := x.decide(a)
	response.ContentLength = max(response.ContentLength, d.length)
	switch d.fate {
	case fatePass:
		flight.pass()
		if x.background {
			deliver(result{})
			break
		}
		passed := x.withCacheStatus(response, nil)
		if passed.Body = http.NoBody; x.req.Method != http.MethodHead {
			ours = false
			passed.Body = passedBody(flight, body)
		}
		deliver(x.passedResult(passed))
	case fateFill:
		defer flight.fill.Load().Abort(cirque.UpstreamError) // does nothing after Finish
		deliver(x.fetchedResult(response))
		t.pump(x, response)
	case fateDiscard:
		deliver(x.fetchedResult(response))
	}
	return d.fate == fateRetry
}

// roundTrip asks base. Like http.Client, it also accepts a response without a Body, and one whose
// ContentLength was not set.
func (t *transportDoor) roundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	switch {
	case err != nil:
		return nil, err
	case response == nil:
		return nil, errors.New("middleware: the base RoundTripper returned neither a response nor an error")
	case response.Body == nil:
		response.Body = http.NoBody
	case response.ContentLength == 0 && response.Body != http.NoBody && bodyAllowed(response.StatusCode):
		response.ContentLength = field.Length(response.Header)
	}
	return response, nil
}

// passedResult returns what the client of x gets if response is passed on.
func (x *transaction) passedResult(response *http.Response) result {
	x.headerSent(response.StatusCode)
	_, upgraded := response.Body.(io.Writer)
	if counting && response.Body != http.NoBody && !upgraded {
		response.Body = &clientBody{ReadCloser: response.Body, cache: x.cache, meter: x.meter}
	}
	return result{response: response, meter: x.meter}
}

// fetchedResult returns what the client of x gets if the response from is stored, or validates what
// is stored.
func (x *transaction) fetchedResult(from *http.Response) result {
	if x.background {
		return result{}
	}
	return result{response: x.fetchedResponse(from), meter: x.meter}
}

// failedResult returns what the client of x gets if the origin could not be asked.
func (x *transaction) failedResult(err error) result {
	if x.endFailedFetch(err) {
		return result{response: x.response(x.req), meter: x.meter}
	}
	if cause := context.Cause(x.flight.ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	return result{err: err, meter: x.meter}
}

// pump copies the origin's body into the fill. The caller must abort the fill if the body ends
// early, or does not have the declared length.
func (t *transportDoor) pump(x *transaction, response *http.Response) {
	fill := x.flight.fill.Load()
	if part := x.upstream.part; part != nil {
		defer part.close()
		x.flight.nowStoring()
		if part.writeBefore(fill) != nil {
			return
		}
	}
	fetched, err := fill.ReadFrom(fetchedBody{response.Body, x.flight})
	if err == nil && (response.ContentLength < 0 || fetched == response.ContentLength) {
		x.finishFill(response.Trailer)
	}
}

// fetchedBody is the origin's body on its way into a fill. Between two reads the flight waits for
// the Storage.
type fetchedBody struct {
	io.Reader
	flight *flight
}

// Read implements io.Reader.
func (b fetchedBody) Read(p []byte) (int, error) {
	b.flight.nowFetching()
	defer b.flight.nowStoring()
	return b.Reader.Read(p)
}
