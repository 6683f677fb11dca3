package middleware

import (
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/cirquecache/cirque"
)

// response builds the response that the walk found.
func (x *transaction) response(r *http.Request) *http.Response {
	header := make(http.Header, x.hc.Meta().Header().Len()+2)
	a := x.answer(header)
	both := new(struct { // in one allocation
		http.Response
		body clientBody
	})
	response := &both.Response
	fillResponse(response, r, a.status, header)
	response.ContentLength = a.length
	response.Uncompressed = x.hc.Meta().Has(cirque.MetaDecoded)
	x.headerSent(a.status)
	if a.body == nil {
		return response
	}
	response.Body = x.cache.pulledBody(&a)
	if a.flight != nil {
		response.Trailer = make(http.Header)
		response.Body = &liveBody{ReadCloser: response.Body, flight: a.flight, trailer: response.Trailer}
	}
	both.body.ReadCloser, both.body.cache, both.body.meter = response.Body, x.cache, x.meter
	response.Body = &both.body // which also copies: see its WriteTo
	return response
}

// fetchedResponse builds the response that the walk found, after from was stored, or has validated
// what is stored. from is the origin's response to this very request. The result has the protocol
// and the TLS state of from, unless it is a stale response in place of an error.
//
// Close and TransferEncoding of from are not copied: they describe how its body was framed, and the
// caller reads another body.
func (x *transaction) fetchedResponse(from *http.Response) *http.Response {
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

// withCacheStatus returns the origin's response with the Cache-Status of this cache, for an answer
// that is passed on.
func (x *transaction) withCacheStatus(response *http.Response, r *http.Request) *http.Response {
	// It changes response itself: net/http writes the trailer into the response that it returned.
	response.Request = r
	if response.Header = response.Header.Clone(); response.Header == nil {
		response.Header = make(http.Header)
	}
	x.setCacheStatus(response.Header, nil)
	return response
}

// fillResponse makes response an answer without a body.
func fillResponse(response *http.Response, r *http.Request, status int, header http.Header) {
	*response = http.Response{
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

// statusLine returns the text of Response.Status. 200 is the common case, and allocates nothing.
func statusLine(status int) string {
	if status == http.StatusOK {
		return "200 OK"
	}
	return strconv.Itoa(status) + " " + http.StatusText(status)
}

// unavailable is the answer to only-if-cached if nothing is stored (RFC 9111 §5.2.1.7).
func unavailable(r *http.Request) *http.Response {
	response := new(http.Response)
	fillResponse(response, r, http.StatusGatewayTimeout, make(http.Header))
	return response
}

// liveBody is a body that is still being fetched. Its trailer is known at its end.
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

// WriteTo implements io.WriterTo, so that the body is not read into a buffer first.
func (b *liveBody) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, b.ReadCloser)
	if err == nil {
		b.ended()
	}
	return n, err
}

// ended copies the trailer, which is known now.
func (b *liveBody) ended() {
	for name, values := range b.flight.trailers() {
		b.trailer[name] = slices.Clone(values) // each caller gets a copy of its own
	}
}

// passedBody returns the body of a response that belongs to its client alone. The flight ends when
// the body is closed.
func passedBody(flight *flight, body io.ReadCloser) io.ReadCloser {
	if w, ok := body.(io.Writer); ok {
		// An upgraded connection can also be written to (RFC 9110 §7.8).
		return struct {
			endingBody
			io.Writer
		}{endingBody{body, flight}, w}
	}
	return &endingBody{body, flight}
}

// endingBody ends the flight when it is closed.
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
