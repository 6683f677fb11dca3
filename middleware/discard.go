package middleware

import (
	"context"
	"io"
	"net/http"
	"time"
)

// discardedResponse is the http.ResponseWriter of a refresh. It supports what a server's
// ResponseWriter supports, except hijacking.
type discardedResponse struct {
	ctx    context.Context
	header http.Header
}

// Header implements http.ResponseWriter.
func (d *discardedResponse) Header() http.Header {
	if d.header == nil {
		d.header = make(http.Header)
	}
	return d.header
}

// WriteHeader implements http.ResponseWriter.
func (*discardedResponse) WriteHeader(int) {}

// Write implements io.Writer.
func (*discardedResponse) Write(p []byte) (int, error) { return len(p), nil }

// WriteString implements io.StringWriter.
func (*discardedResponse) WriteString(s string) (int, error) { return len(s), nil }

// ReadFrom implements io.ReaderFrom.
func (*discardedResponse) ReadFrom(r io.Reader) (int64, error) { return io.Copy(io.Discard, r) }

// Flush implements http.Flusher.
func (*discardedResponse) Flush() {}

// CloseNotify implements http.CloseNotifier.
func (d *discardedResponse) CloseNotify() <-chan bool { return closeNotify(d.ctx) }

// SetReadDeadline, SetWriteDeadline and EnableFullDuplex are for http.ResponseController.

// SetReadDeadline does nothing: there is nothing to read.
func (*discardedResponse) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: there is nobody to write to.
func (*discardedResponse) SetWriteDeadline(time.Time) error { return nil }

// EnableFullDuplex does nothing: there is nothing to read.
func (*discardedResponse) EnableFullDuplex() error { return nil }

// closeNotify returns the channel of http.CloseNotifier for a request whose context is ctx.
func closeNotify(ctx context.Context) <-chan bool {
	gone := make(chan bool, 1)
	context.AfterFunc(ctx, func() { gone <- true })
	return gone
}
