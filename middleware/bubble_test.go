package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// bubble is a cache with one of its doors in front of a handler, in a synctest bubble and without a
// network.
type bubble struct {
	t     *testing.T
	cache *middleware.Cache
	door  http.RoundTripper
}

// eachBubble runs test with either door, each in a synctest bubble.
func eachBubble(t *testing.T, cfg middleware.Config, origin http.HandlerFunc, test func(t *testing.T, b *bubble)) {
	t.Helper()
	eachBubbleOver(t, cfg, nil, origin, test)
}

// eachBubbleOver is eachBubble with a new Storage for each cache; nil selects the default one.
func eachBubbleOver(t *testing.T, cfg middleware.Config, storage func() cirque.Storage, origin http.HandlerFunc, test func(t *testing.T, b *bubble)) {
	t.Helper()
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg, front := cfg, http.Handler(nil)
				// There is no server to take the handler from.
				cfg.Refresh = func(*http.Request) http.Handler { return front }
				if storage != nil {
					cfg.Storage = storage()
				}
				cache := newCache(t, cfg)
				b := &bubble{t: t, cache: cache}
				if door == "handler" {
					front = cache.Handler(origin)
					b.door = serving{front}
				} else {
					b.door = cache.Transport(serving{origin})
				}
				test(t, b)
			})
		})
	}
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

// ask sends a request; header holds name, value pairs. The caller reads and closes the body.
func (b *bubble) ask(ctx context.Context, method, path string, header ...string) (*http.Response, error) {
	r := httptest.NewRequestWithContext(ctx, method, "http://example.com"+path, nil)
	r.Body = nil
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return b.door.RoundTrip(r)
}

// purge purges what get("/") would find.
func (b *bubble) purge(ctx context.Context) error {
	return b.cache.Purge(ctx, httptest.NewRequest(http.MethodGet, "http://example.com/", nil))
}

// get sends a GET and reads the whole answer.
func (b *bubble) get(path string, header ...string) reply {
	b.t.Helper()
	response, err := b.ask(b.t.Context(), http.MethodGet, path, header...)
	require.NoError(b.t, err)
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	return reply{response, string(body), err}
}
