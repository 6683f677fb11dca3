package middleware_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// streamBody is the body of an HTTP/3 request. Its first bytes, or its end, come after wait.
type streamBody struct {
	wait   time.Duration
	rest   io.Reader
	closed chan struct{}
}

func newStreamBody(wait time.Duration, rest io.Reader) *streamBody {
	return &streamBody{wait, rest, make(chan struct{})}
}

func (s *streamBody) Read(p []byte) (int, error) {
	if s.wait > 0 {
		select {
		case <-time.After(s.wait):
			s.wait = 0
		case <-s.closed:
			return 0, errors.New("cancelled")
		}
	}
	return s.rest.Read(p)
}

func (s *streamBody) Close() error { close(s.closed); return nil }

type panickingReader struct{}

func (panickingReader) Read([]byte) (int, error) { panic("broken body") }

// An HTTP/3 request does not say whether it has content. A request without content is cached like
// any other. A request that has, or may have, content is not cached, and its content arrives
// complete.
func TestHTTP3RequestIsCachedOnlyWithoutContent(t *testing.T) {
	broken := errors.New("stream reset")
	for name, c := range map[string]struct {
		wait   time.Duration
		body   func() io.Reader
		header string
		method string
		cached bool
		took   time.Duration
		read   string // what the handler reads
		err    error
	}{
		"none":                        {body: func() io.Reader { return strings.NewReader("") }, cached: true},
		"none, HEAD":                  {body: func() io.Reader { return strings.NewReader("") }, method: "HEAD", cached: true},
		"none, its end after 100 ms":  {wait: 100 * time.Millisecond, body: func() io.Reader { return strings.NewReader("") }, cached: true, took: 100 * time.Millisecond},
		"some":                        {body: func() io.Reader { return strings.NewReader("content") }, read: "content"},
		"a single byte":               {body: func() io.Reader { return strings.NewReader("c") }, read: "c"},
		"some, after 100 ms":          {wait: 100 * time.Millisecond, body: func() io.Reader { return strings.NewReader("content") }, took: 100 * time.Millisecond, read: "content"},
		"some, after an hour":         {wait: time.Hour, body: func() io.Reader { return strings.NewReader("content") }, took: time.Hour, read: "content"},
		"none, its end after an hour": {wait: time.Hour, body: func() io.Reader { return strings.NewReader("") }, took: time.Hour},
		"some, then an error":         {body: func() io.Reader { return io.MultiReader(strings.NewReader("con"), errorReader{broken}) }, read: "con", err: broken},
		"an error":                    {body: func() io.Reader { return errorReader{broken} }, err: broken},
		"a panic":                     {body: func() io.Reader { return panickingReader{} }, err: errors.New("broken body")},
		"none, Expect: 100-continue":  {body: func() io.Reader { return strings.NewReader("") }, header: "Expect"},
	} {
		for _, door := range []string{"handler", "transport"} {
			t.Run(name+" "+door, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cache := newCache(t, middleware.Config{})
					read := make(chan string, 2)
					next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.Body == nil {
							r.Body = http.NoBody
						}
						body, err := io.ReadAll(r.Body)
						if c.err == nil && err != nil || c.err != nil && (err == nil || !strings.Contains(err.Error(), c.err.Error())) {
							t.Error("the handler's read returned", err)
						}
						read <- string(body)
						fresh("x")(w, r)
					})
					var front http.Handler = cache.Handler(next)
					if door == "transport" {
						front = &httputil.ReverseProxy{Rewrite: func(*httputil.ProxyRequest) {}, Transport: cache.Transport(serving{next})}
					}
					method := "GET"
					if c.method != "" {
						front.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "http://example.com/", nil))
						<-read
						method = c.method
					}
					r := httptest.NewRequest(method, "http://example.com/", newStreamBody(c.wait, c.body()))
					r.Proto, r.ProtoMajor, r.ProtoMinor, r.ContentLength = "HTTP/3.0", 3, 0, -1
					if c.header != "" {
						r.Header.Set(c.header, "100-continue")
					}
					start := time.Now()
					w := httptest.NewRecorder()
					front.ServeHTTP(w, r)
					require.Equal(t, c.took, time.Since(start))
					require.Equal(t, c.cached, !strings.Contains(fmt.Sprint(w.Header()), "request-content"), w.Header())
					if c.method == "" {
						require.Equal(t, c.read, <-read)
					}
					require.NoError(t, cache.Wait(t.Context()))
				})
			})
		}
	}
}

type errorReader struct{ err error }

func (e errorReader) Read([]byte) (int, error) { return 0, e.err }

// A request whose body neither yields a byte nor ends is answered after a second, uncached.
func TestHTTP3RequestThatStaysOpenIsAnsweredUncached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		r := httptest.NewRequest("GET", "/", nil)
		body := newStreamBody(1000*time.Hour, nil)
		r.Body, r.Proto, r.ProtoMajor, r.ContentLength = body, "HTTP/3.0", 3, -1
		start := time.Now()
		w := httptest.NewRecorder()
		cache.Handler(fresh("x")).ServeHTTP(w, r)
		require.Equal(t, time.Second, time.Since(start))
		require.Contains(t, w.Header().Get("Cache-Status"), "request-content")
		r.Body.Close() // as its server does
		synctest.Wait()
	})
}

// HTTP/2 may also send the end of a stream after the header. Go's own client does so for a Body of
// unknown length.
func TestHTTP2RequestIsCachedOnlyWithoutContent(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	front := httptest.NewUnstartedServer(cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "%s %q", r.Proto, body)
	})))
	front.EnableHTTP2 = true
	front.StartTLS()
	defer front.Close()
	for _, c := range []struct{ content, status string }{
		{"", "; stored"}, {"", "; hit"}, {"content", "detail=request-content"}, {"", "; hit"},
	} {
		r, err := http.NewRequest("GET", front.URL, struct{ io.Reader }{strings.NewReader(c.content)})
		require.NoError(t, err)
		response, err := front.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, fmt.Sprintf("HTTP/2.0 %q", c.content), string(body))
		require.Contains(t, response.Header.Get("Cache-Status"), c.status)
	}
}
