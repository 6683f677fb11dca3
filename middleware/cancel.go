package middleware

//lint:file-ignore SA1019 http.Client sets Cancel for its Timeout: a RoundTripper must heed it

import (
	"context"
	"io"
	"net/http"
	"sync"
)

// hasCancel reports whether r has a Cancel channel.
func hasCancel(r *http.Request) bool { return r.Cancel != nil }

// roundTripCancellable is roundTrip for a request with a Cancel channel, which http.Client uses for
// its Timeout. The channel ends the waiting and the reading of this client. The fetch, which may be
// for others too, does not get the channel.
func roundTripCancellable(r *http.Request, roundTrip func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	ctx := &cancelContext{Context: r.Context(), cancel: r.Cancel}
	handedOn := false
	defer func() {
		if !handedOn {
			ctx.release()
		}
	}()
	own := r.WithContext(ctx)
	own.Cancel = nil
	response, err := roundTrip(own)
	if response == nil {
		return nil, err
	}
	response.Request = r
	if response.Body != nil && response.Body != http.NoBody {
		handedOn = true
		body := &cancelBody{response.Body, ctx}
		if w, ok := response.Body.(io.Writer); ok {
			response.Body = struct {
				*cancelBody
				io.Writer
			}{body, w}
		} else {
			response.Body = body
		}
	}
	return response, err
}

// cancelContext is a context that a channel ends too. It costs a goroutine only if somebody waits
// for its end; hits do not.
type cancelContext struct {
	context.Context
	cancel <-chan struct{}
	mu     struct {
		sync.Mutex
		released bool
		done     chan struct{} // nil until Done is called
		stop     chan struct{} // closed by release; made with done
	}
}

// Done implements context.Context.
func (c *cancelContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.done == nil {
		c.mu.done, c.mu.stop = make(chan struct{}), make(chan struct{})
		if c.mu.released {
			close(c.mu.stop)
		}
		go c.watch(c.mu.done, c.mu.stop)
	}
	return c.mu.done
}

// watch closes done when the context ends, or returns when nobody waits any more.
func (c *cancelContext) watch(done, ended chan struct{}) {
	select {
	case <-ended:
		if c.Err() == nil {
			return
		}
	case <-c.cancel:
	case <-c.Context.Done():
	}
	close(done)
}

// Err implements context.Context.
func (c *cancelContext) Err() error {
	select {
	case <-c.cancel:
		return context.Canceled
	default:
		return c.Context.Err()
	}
}

// release says that nobody waits any more. Done may still be called, and is closed if the context
// has ended by then.
func (c *cancelContext) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.mu.released && c.mu.stop != nil {
		close(c.mu.stop)
	}
	c.mu.released = true
}

// cancelBody is a response body that releases its cancelContext when it ends or is closed.
type cancelBody struct {
	io.ReadCloser
	ctx *cancelContext
}

// Read implements io.Reader.
func (b *cancelBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.ctx.release()
	}
	return n, err
}

// WriteTo implements io.WriterTo, so that the body is not read into a buffer first.
func (b *cancelBody) WriteTo(w io.Writer) (int64, error) {
	defer b.ctx.release()
	return io.Copy(w, b.ReadCloser)
}

// Close implements io.Closer.
func (b *cancelBody) Close() error {
	defer b.ctx.release()
	return b.ReadCloser.Close()
}
