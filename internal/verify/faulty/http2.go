package faulty

import (
	"context"
	"errors"
	"io"
	"log"
	"maps"
	"net/http"
	"sync"
	"testing"
)

// HTTP2Origin is an Origin for HTTP/2 without TLS. It plays the kinds for which Kind.HTTP2 is true.
// For any other kind it resets the stream before the header.
type HTTP2Origin struct {
	Journal

	// URL is the base URL, without a final slash.
	URL string

	script    func(*http.Request) Answer
	server    *http.Server
	transport *http.Transport

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup // grows under mu, while closed is false
}

// NewHTTP2Origin starts an origin, as NewOrigin does. The context of the request that a script gets
// ends with the stream.
func NewHTTP2Origin(t testing.TB, script func(*http.Request) Answer) *HTTP2Origin {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	listener := listen()
	o := &HTTP2Origin{
		URL:       "http://" + listener.Addr().String(),
		script:    script,
		transport: &http.Transport{Protocols: &protocols},
	}
	o.server = &http.Server{
		Handler:   http.HandlerFunc(o.serve),
		Protocols: &protocols,
		ErrorLog:  log.New(io.Discard, "", 0),
	}
	o.wg.Go(func() { o.server.Serve(listener) })
	if t != nil {
		t.Cleanup(o.Close)
	}
	return o
}

// Transport returns a transport that speaks HTTP/2 without TLS to any origin. It lives as long as
// o.
func (o *HTTP2Origin) Transport() *http.Transport { return o.transport }

// Close ends all connections and waits for the origin's goroutines. It may be called more than
// once.
func (o *HTTP2Origin) Close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.server.Close()
	o.transport.CloseIdleConnections()
	o.wg.Wait()
}

func (o *HTTP2Origin) serve(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	o.wg.Add(1)
	o.mu.Unlock()
	defer o.wg.Done()

	if o.Journal.request(r) != nil {
		panic(http.ErrAbortHandler)
	}
	answer := o.script(r)
	x := streamExchange{newPlan(answer, r, o.Journal.fault(answer.Kind)), w}
	sent, err := x.play(r.Context())
	x.done(sent, err)
	if err != nil {
		panic(http.ErrAbortHandler) // resets the stream
	}
}

// streamExchange plays one plan on an HTTP/2 stream.
type streamExchange struct {
	plan
	w http.ResponseWriter
}

// play sends the answer and returns the number of body bytes that it sent. After an error the
// caller must reset the stream.
func (x *streamExchange) play(ctx context.Context) (sent int64, err error) {
	if err := pause(ctx, x.Delay); err != nil {
		return 0, err
	}
	if x.stage == beforeHeader || !x.Kind.HTTP2() {
		return 0, x.strike(ctx)
	}
	body := flushingWriter{x.w, http.NewResponseController(x.w)}
	for _, status := range x.Interim {
		x.w.WriteHeader(status)
	}
	maps.Copy(x.w.Header(), x.Header)
	x.w.WriteHeader(x.Status)
	if err := body.Flush(); err != nil {
		return 0, err
	}
	if x.stage == afterHeader {
		return 0, x.strike(ctx)
	}
	if !x.bodyless {
		if sent, err = x.sendBody(ctx, body); err != nil {
			return sent, err
		}
		if x.stage == inBody {
			return sent, x.strike(ctx)
		}
	}
	for name, values := range x.Trailer {
		x.w.Header()[http.TrailerPrefix+name] = values
	}
	return sent, nil
}

// strike plays the fault at its place. It returns nil if the stream should end without a reset.
func (x *streamExchange) strike(ctx context.Context) error {
	if err := await(ctx, x.Hold); err != nil {
		return err
	}
	switch {
	case x.Kind == ShortBody:
		return nil
	case x.ending == stalls && x.Hold == nil:
		<-ctx.Done()
	}
	return errEnded
}

// flushingWriter sends each write at once.
type flushingWriter struct {
	io.Writer
	*http.ResponseController
}

func (f flushingWriter) Write(p []byte) (int, error) {
	n, err := f.Writer.Write(p)
	return n, errors.Join(err, f.Flush())
}
