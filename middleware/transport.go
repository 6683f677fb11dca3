package middleware

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
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

// result is what RoundTrip returns.
type result struct {
	response *http.Response
	err      error
}

// RoundTrip implements http.RoundTripper.
func (t *transportDoor) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.Header == nil {
		return t.base.RoundTrip(r) // whose error it is
	}
	own := canonical(r)
	if keepsOut(own) {
		return t.keepOut(r, own)
	}
	if hasCancel(r) {
		return t.cancellable(r)
	}
	if r.Method == "" || undeclared(r) {
		get := *r
		if get.Method == "" {
			get.Method = http.MethodGet
		}
		if undeclared(&get) {
			declareContent(&get)
		}
		response, err := t.RoundTrip(&get)
		if response != nil {
			response.Request = r
		}
		return response, err
	}
	var x exchange
	x.begin(t.cache, doorTransport, t, own)
	done := true // with the request's body, unless the origin gets it
	defer func() {
		x.hc.Release()
		if done {
			closeBody(r)
		}
	}()
	to, err := x.plan()
	switch {
	case err != nil:
		return nil, err
	case to == routeServe:
		return x.response(r), nil
	case to == routeUnavailable:
		return unavailable(r), nil
	}
	done = false
	return t.answerFromOrigin(x.moved(), to, r)
}

// answerFromOrigin asks base, on behalf of the cache or of this client alone.
func (t *transportDoor) answerFromOrigin(x *exchange, to route, r *http.Request) (*http.Response, error) {
	if x.mayForward(to) {
		return t.forward(x, r)
	}
	defer x.hc.Release()
	return t.pass(x, r)
}

// canonical returns r with the names of its fields in canonical form, which is how the rules know
// them.
func canonical(r *http.Request) *http.Request {
	if isCanonical(r.Header) {
		return r
	}
	own := *r
	own.Header = snapshot(r.Header)
	return &own
}

func isCanonical(header http.Header) bool {
	for name := range header {
		if !canonicalName(name) {
			return false
		}
	}
	return true
}

// canonicalName reports whether http.CanonicalHeaderKey leaves name as it is.
func canonicalName(name string) bool {
	return plainlyCanonical(name) || http.CanonicalHeaderKey(name) == name
}

// plainlyCanonical reports whether name's letters are upper case where a word begins, and lower
// case elsewhere. Then http.CanonicalHeaderKey has nothing to change, nor has it where name is
// none. It is asked of every field of every request.
func plainlyCanonical(name string) bool {
	wrong := byte('a') // the first letter of the case that is out of place
	for i := range len(name) {
		c := name[i]
		if wrong <= c && c <= wrong+('z'-'a') {
			return false
		}
		if wrong = 'A'; c == '-' {
			wrong = 'a'
		}
	}
	return true
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close()
	}
}

// pass sends the request on, and only looks at the answer.
func (t *transportDoor) pass(x *exchange, r *http.Request) (*http.Response, error) {
	x.ask()
	response, err := t.roundTrip(r)
	if err != nil {
		return nil, err
	}
	handedOn := false
	defer func() {
		if !handedOn { // a hook or the Storage panicked
			_ = response.Body.Close()
		}
	}()
	x.admit(headOf(response))
	handedOn = true
	return x.passed(response, r), nil
}

// roundTrip asks base. Its answers need not be as complete as a server's: like http.Client it puts
// up with those that have no body, and with a ContentLength that nobody set.
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

func headOf(response *http.Response) *answerHead {
	header := response.Header // only read
	if !isCanonical(header) {
		header = snapshot(header)
	}
	return &answerHead{
		status: response.StatusCode, header: header, length: response.ContentLength, decoded: response.Uncompressed,
	}
}

// changedHere are the fields that say nothing about the user if base's request has others than
// ours.
var changedHere = []string{"Accept-Encoding", "If-Modified-Since", "If-None-Match", "If-Range", "Range"}

// changedBelow returns the fields that base added to the request, or replaced the values of, before
// it sent it on, as far as its response tells: a token of its own, or the cookies of a jar. A field
// that base took away does not count, as the origin cannot have gone by it. Nor do the fields that
// the cache itself changes, or Accept-Encoding, which is between base and the next hop and says
// nothing about the user. sent is the header of which base got a copy.
func changedBelow(sent http.Header, request *http.Request) (changed []string) {
	if request == nil {
		return nil // base does not tell
	}
	header := request.Header // only read
	if !isCanonical(header) {
		header = snapshot(header)
	}
	for name, values := range header {
		if len(values) > 0 && !slices.Equal(values, sent[name]) && !slices.Contains(changedHere, name) {
			changed = append(changed, name)
		}
	}
	return changed
}

// passed returns the origin's response with this cache's mark on it.
func (x *exchange) passed(response *http.Response, r *http.Request) *http.Response {
	// In place: net/http puts the trailer into the response that it returned.
	response.Request = r
	if response.Header = response.Header.Clone(); response.Header == nil {
		response.Header = make(http.Header)
	}
	x.setCacheStatus(response.Header, nil)
	return response
}

// forward asks the origin on behalf of the cache, on a goroutine that outlives a client who leaves.
func (t *transportDoor) forward(x *exchange, r *http.Request) (*http.Response, error) {
	answers := make(chan result)
	// A caller who leaves may do with the request what it likes.
	x.req = x.req.Clone(x.client)
	go func() {
		growStack()
		defer t.cache.recoverBackground("fetch")
		defer x.hc.Release()
		t.fetch(x, func(a result) {
			if a.response != nil {
				a.response.Request = r
			}
			select {
			case answers <- a:
			case <-x.client.Done():
				if a.response != nil && a.response.Body != nil {
					_ = a.response.Body.Close()
				}
			}
		})
	}()
	select {
	case a := <-answers:
		return a.response, a.err
	case <-x.client.Done():
		return nil, context.Cause(x.client)
	}
}

// revalidate implements origin.
func (t *transportDoor) revalidate(x *exchange) {
	t.fetch(x, func(a result) {
		if a.response != nil && a.response.Body != nil {
			_ = a.response.Body.Close()
		}
	})
}

// fetch asks the origin, delivers the answer to whoever is waiting for one, exactly once, and sees
// a fill through to its end.
func (t *transportDoor) fetch(x *exchange, deliver func(result)) {
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
				deliver(result{err: fmt.Errorf("middleware: panic behind the cache: %v", p)})
			}
			x.hc.Release()
		}
	}()
	for t.fly(x, once) {
	}
}

// fly is one fetch; it reports whether the origin is to be asked again.
func (t *transportDoor) fly(x *exchange, deliver func(result)) (retry bool) {
	flight := x.newFlight()
	x.flight = flight
	ours := true // until a passed body takes the flight over
	defer func() {
		if ours {
			flight.end()
		}
	}()
	x.ask()
	response, err := t.roundTrip(x.upstream(flight.ctx))
	if err != nil {
		if x.fail(err) {
			deliver(result{response: x.response(x.req)})
			return false
		}
		if cause := context.Cause(flight.ctx); cause != nil && errors.Is(err, context.Canceled) {
			err = cause
		}
		deliver(result{err: err})
		return false
	}
	body := response.Body
	closed := false
	defer func() {
		if !closed {
			_ = body.Close()
		}
	}()
	head := headOf(response)
	head.changed = changedBelow(x.sent().Header, response.Request)
	verdict := x.admit(head)
	response.ContentLength = max(response.ContentLength, head.length) // a part says how long it is in more than one way
	switch verdict {
	case verdictPass:
		flight.adopt()
		if x.background {
			deliver(result{})
			return false
		}
		passed := x.passed(response, nil)
		if passed.Body = http.NoBody; x.req.Method != http.MethodHead {
			closed, ours = true, false
			passed.Body = passedBody(flight, body)
		}
		deliver(result{response: passed})
	case verdictFill:
		defer flight.fill.Load().Abort(cirque.UpstreamError) // nothing, after Finish
		if x.background {
			deliver(result{})
		} else {
			deliver(result{response: x.fetched(response)})
		}
		t.pump(x, response)
	case verdictServe:
		if x.background {
			deliver(result{})
			return false
		}
		deliver(result{response: x.fetched(response)})
	case verdictRetry:
		return true
	}
	return false
}

// passedBody is the body of a response that is the client's alone; its end is the flight's.
func passedBody(flight *flight, body io.ReadCloser) io.ReadCloser {
	if w, ok := body.(io.Writer); ok {
		// An upgraded connection (RFC 9110 §7.8) is written to as well.
		return struct {
			endingBody
			io.Writer
		}{endingBody{body, flight}, w}
	}
	return &endingBody{body, flight}
}

type endingBody struct {
	io.ReadCloser
	flight *flight
}

// Close implements io.Closer.
func (b endingBody) Close() error {
	err := b.ReadCloser.Close()
	b.flight.end()
	return err
}

// fetchedBody is the origin's body on its way into a fill, which is at work between two reads.
type fetchedBody struct {
	io.Reader
	flight *flight
}

// Read implements io.Reader.
func (b fetchedBody) Read(p []byte) (int, error) {
	b.flight.turn(false)
	defer b.flight.turn(true)
	return b.Reader.Read(p)
}

// pump carries the origin's body into the fill. A body that ends early, or is not as long as
// declared, is left for the caller to abort.
func (t *transportDoor) pump(x *exchange, response *http.Response) {
	fill := x.flight.fill.Load()
	if x.part != nil {
		defer x.part.close()
		x.flight.turn(true)
		if x.part.prepend(fill) != nil {
			return
		}
	}
	fetched, err := fill.ReadFrom(fetchedBody{response.Body, x.flight})
	if err == nil && (response.ContentLength < 0 || fetched == response.ContentLength) {
		x.complete(response.Trailer)
	}
}

// response builds the answer that the walk found.
func (x *exchange) response(r *http.Request) *http.Response {
	header := make(http.Header, x.hc.Meta().Header().Len()+2)
	a := x.answer(header)
	response := newResponse(r, a.status, header)
	response.ContentLength = a.length
	response.Uncompressed = x.hc.Meta().Has(cirque.MetaDecoded)
	switch {
	case a.body == nil:
	case a.flight == nil:
		response.Body = x.cache.pulled(&a)
	default:
		response.Trailer = make(http.Header)
		response.Body = &liveBody{ReadCloser: x.cache.pulled(&a), flight: a.flight, trailer: response.Trailer}
	}
	return response
}

// fetched builds the answer that the walk found after from, the origin's response to this very
// request, was stored or has validated what is. It says of how it came what from says; a stale
// response that stands in for an error came from the store.
//
// How from's body was framed (Close, TransferEncoding) is not handed through: the caller reads
// another body.
func (x *exchange) fetched(from *http.Response) *http.Response {
	response := x.response(nil)
	if x.hc.Phase() == cirque.PhaseStale {
		return response
	}
	response.TLS = from.TLS
	if from.ProtoMajor != 0 {
		response.Proto, response.ProtoMajor, response.ProtoMinor = from.Proto, from.ProtoMajor, from.ProtoMinor
	}
	if from.Status != "" && from.StatusCode == response.StatusCode {
		response.Status = from.Status
	}
	if response.Trailer != nil {
		for name := range from.Trailer {
			response.Trailer[name] = nil // announced
		}
	}
	return response
}

func newResponse(r *http.Request, status int, header http.Header) *http.Response {
	return &http.Response{
		Status:     statusLine(status),
		StatusCode: status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header,
		Body:       http.NoBody,
		Request:    r,
	}
}

func statusLine(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

// unavailable is the answer to only-if-cached where there is nothing (RFC 9111 §5.2.1.7).
func unavailable(r *http.Request) *http.Response {
	return newResponse(r, http.StatusGatewayTimeout, make(http.Header))
}

// liveBody is a body that is still being fetched; its trailer is known at its end.
type liveBody struct {
	io.ReadCloser
	flight  *flight
	trailer http.Header
}

// Read implements io.Reader.
func (b *liveBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.ended()
	}
	return n, err
}

// WriteTo implements io.WriterTo: w gets the stored bytes themselves.
func (b *liveBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
	if err == nil {
		b.ended()
	}
	return n, err
}

func (b *liveBody) ended() {
	for name, values := range b.flight.trailers() {
		b.trailer[name] = slices.Clone(values) // each caller's own
	}
}
