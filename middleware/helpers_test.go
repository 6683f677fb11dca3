package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Handlers, origins, transports and bodies that several tests use.

// fresh answers with body, which is fresh for a minute.
func fresh(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, body)
	}
}

// aged sets Age, so that the response is as old as the test needs.
func aged(w http.ResponseWriter, age time.Duration) {
	w.Header().Set("Age", fmt.Sprint(int(age.Seconds())))
}

// serving makes a RoundTripper of a handler. RoundTrip returns when the header is written, and the
// body streams.
type serving struct{ http.Handler }

func (s serving) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipedWriter{header: make(http.Header), body: pw, ready: make(chan *http.Response, 1), response: pr}
	failed := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				err := errors.New("the connection broke")
				pw.CloseWithError(err)
				failed <- err
				return
			}
			w.WriteHeader(http.StatusOK)
			pw.Close()
		}()
		s.ServeHTTP(w, r)
	}()
	select {
	case response := <-w.ready:
		response.Request = r
		context.AfterFunc(r.Context(), func() { pr.Close() }) // no effect once the body is read
		return response, nil
	case err := <-failed:
		return nil, err
	case <-r.Context().Done():
		pr.Close()
		return nil, context.Cause(r.Context())
	}
}

// pipedWriter is the ResponseWriter of serving.
type pipedWriter struct {
	header   http.Header
	body     *io.PipeWriter
	response *io.PipeReader
	ready    chan *http.Response
	sent     bool
}

func (w *pipedWriter) Header() http.Header { return w.header }

func (w *pipedWriter) WriteHeader(status int) {
	if w.sent || status < 200 {
		return
	}
	w.sent = true
	w.ready <- &http.Response{
		StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header.Clone(), Body: w.response, ContentLength: -1,
	}
}

func (w *pipedWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

func (w *pipedWriter) Flush() { w.WriteHeader(http.StatusOK) }

// roundTripFunc is a RoundTripper.
type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering returns a RoundTripper that never fails.
func answering(f func(*http.Request) *http.Response) roundTripFunc {
	return func(r *http.Request) (*http.Response, error) { return f(r), nil }
}

// respond returns a response with body; header holds name, value pairs.
func respond(body string, header ...string) *http.Response {
	h := make(http.Header)
	addFields(h, header)
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: h,
		ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
	}
}

// roundTrip sends r through door and reads the whole answer.
func roundTrip(t testing.TB, door http.RoundTripper, r *http.Request) reply {
	t.Helper()
	response, err := door.RoundTrip(r)
	require.NoError(t, err)
	got := readReply(response)
	require.NoError(t, got.err)
	return got
}

// closeCounter is a body that counts in closed how often it was closed.
type closeCounter struct {
	io.Reader
	closed *atomic.Int32
}

func (c closeCounter) Close() error { c.closed.Add(1); return nil }

var numbers = strings.Repeat("0123456789", 10)

// discardWriter is a ResponseWriter that does as little as possible.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header { return w.header }

func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }

func (w *discardWriter) WriteString(s string) (int, error) { return len(s), nil }

func (w *discardWriter) WriteHeader(int) {}

// contextKey is the key of the one context value that a test sets.
type contextKey struct{}
