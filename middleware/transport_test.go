package middleware_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

func TestTransportNeverModifiesTheRequest(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, fresh("x"))
	for range 2 {
		req, _ := http.NewRequest("GET", h.front.URL+"/", nil)
		req.Header.Set("If-None-Match", `"a"`)
		req.Header.Set("Range", "bytes=0-0")
		req.Header.Set("Connection", "X-Hop")
		req.Header.Set("X-Hop", "1")
		before, header := *req, maps.Clone(req.Header)
		resp, err := h.client.Transport.RoundTrip(req)
		require.NoError(t, err)
		io.ReadAll(resp.Body)
		resp.Body.Close()
		require.Equal(t, header, req.Header)
		require.Equal(t, before.Method, req.Method)
		require.Same(t, before.URL, req.URL)
		require.Same(t, req, resp.Request)
	}
}

func TestTransportClosesEveryRequestBody(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		fresh("x")(w, r)
	})
	h.get("/")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	cases := []struct {
		name, method, path string
		header             [2]string
		ctx                context.Context
	}{
		{name: "hit", method: "GET", path: "/"},
		{name: "miss", method: "GET", path: "/other"},
		{name: "post", method: "POST", path: "/"},
		{name: "only-if-cached", method: "GET", path: "/nothing", header: [2]string{"Cache-Control", "only-if-cached"}},
		{name: "broken origin", method: "GET", path: "/broken"},
		{name: "cancelled", method: "GET", path: "/c", ctx: cancelled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var closed atomic.Int32
			ctx := c.ctx
			if ctx == nil {
				ctx = t.Context()
			}
			req, _ := http.NewRequestWithContext(ctx, c.method, h.front.URL+c.path, nil)
			req.Body, req.ContentLength = closeCounter{strings.NewReader(""), &closed}, 0
			if c.header[0] != "" {
				req.Header.Set(c.header[0], c.header[1])
			}
			resp, err := h.client.Transport.RoundTrip(req)
			if err == nil {
				io.ReadAll(resp.Body)
				resp.Body.Close()
			}
			eventually(t, func() bool { return closed.Load() > 0 }, "the request's body is closed")
		})
	}
}

func TestTransportCallerMayChangeHeaders(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Many"] = []string{"1", "2"}
		fresh("x")(w, r)
	})
	for range 3 {
		r := h.get("/")
		require.Equal(t, []string{"1", "2"}, r.Header["X-Many"])
		r.Header["X-Many"][0] = "changed"
		r.Header["X-Many"] = append(r.Header["X-Many"], "3")
		r.Header.Add("Date", "never")
		r.Header.Del("Cache-Control")
	}
}

func TestTransportCancellationEndsTheReadAndNotTheFill(t *testing.T) {
	release := make(chan struct{})
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "first")
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "last")
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
	resp, err := h.client.Do(req)
	require.NoError(t, err)
	_, err = io.ReadFull(resp.Body, make([]byte, 5))
	require.NoError(t, err)
	cancel()
	_, err = resp.Body.Read(make([]byte, 5))
	require.ErrorIs(t, err, context.Canceled)
	resp.Body.Close()
	close(release)
	eventually(t, func() bool { return strings.Contains(h.get("").status(), "; hit") }, "the entry is stored")
	require.Equal(t, "firstlast", h.get("").body)
	require.Equal(t, 1, h.requests())
}

func TestTransportCancellationBeforeTheHeaderDoesNotEndTheFill(t *testing.T) {
	release := make(chan struct{})
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		<-release
		fresh("x")(w, r)
	})
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
	go func() {
		for h.requests() == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	_, err := h.client.Do(req)
	require.ErrorIs(t, err, context.Canceled)
	close(release)
	eventually(t, func() bool { return strings.Contains(h.get("").status(), "; hit") }, "the entry is stored although its client has left")
	require.Equal(t, 1, h.requests())
}

// A response that the base transport decoded is stored decoded. Its strong tag is used for
// validation upstream and goes to clients as a weak one.
func TestTransportStoresDecodedResponsesDecoded(t *testing.T) {
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	io.WriteString(z, "plain text")
	z.Close()
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		w.Header().Set("Etag", `"strong"`)
		w.Header().Set("Vary", "Accept-Encoding")
		if r.Header.Get("If-None-Match") == `"strong"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		w.Write(zipped.Bytes())
	})
	for i := range 3 {
		r := h.get("/")
		require.Equal(t, "plain text", r.body)
		require.Empty(t, r.Header.Get("Content-Encoding"))
		require.Equal(t, `W/"strong"`, r.Header.Get("Etag"))
		require.True(t, r.Uncompressed)
		if i > 0 {
			require.Contains(t, r.status(), "fwd-status=304")
		}
	}
	require.Equal(t, `"strong"`, h.lastRequest().Header.Get("If-None-Match"))
}

func TestTransportReadFailsOnTruncation(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "short")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for i := range 2 {
		r := h.get("/")
		require.Error(t, r.err)
		require.False(t, errors.Is(r.err, io.EOF))
		require.Equal(t, i+1, h.requests(), "a truncated response must not be stored")
	}
}

// However the body is read, the trailer is there at its end (RFC 9110 §6.5).
func TestTransportTrailersComeWithTheEndOfTheBody(t *testing.T) {
	body := strings.Repeat("0123456789", 50_000)
	for name, read := range map[string]func(io.Reader) (string, error){
		"Read": func(r io.Reader) (string, error) {
			b, err := io.ReadAll(r)
			return string(b), err
		},
		"WriteTo": func(r io.Reader) (string, error) {
			var b strings.Builder
			_, err := r.(io.WriterTo).WriteTo(&b)
			return b.String(), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newTransportHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Trailer", "X-Sum")
				io.WriteString(w, body)
				w.Header().Set("X-Sum", "42")
			})
			resp, err := h.client.Get(h.front.URL)
			require.NoError(t, err)
			defer resp.Body.Close()
			require.Empty(t, resp.Trailer.Get("X-Sum"))
			got, err := read(resp.Body)
			require.NoError(t, err)
			require.True(t, body == got)
			require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
		})
	}
}

func TestTransportAcceptsNilBaseAndEmptyMethod(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, fresh("x"))
	t.Cleanup(http.DefaultTransport.(*http.Transport).CloseIdleConnections)
	rt := h.cache.Transport(nil)
	for range 2 {
		req, _ := http.NewRequest("GET", h.front.URL, nil)
		req.Method = ""
		resp, err := rt.RoundTrip(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		resp.Body.Close()
		require.Equal(t, "x", string(body))
		require.Same(t, req, resp.Request)
	}
	require.Equal(t, 1, h.requests())
}

// Every body that the origin sent is closed, whatever happens to it.
func TestTransportClosesEveryUpstreamBody(t *testing.T) {
	var opened, closed atomic.Int32
	h := newHarness(t, "transport", middleware.Config{MaxObjectBytes: 10, StaleIfError: time.Minute}, nil)
	answers := map[string]func(*http.Request) (int, string, string){
		"/store":   func(*http.Request) (int, string, string) { return 200, "max-age=60", "body" },
		"/nostore": func(*http.Request) (int, string, string) { return 200, "no-store", "body" },
		"/large":   func(*http.Request) (int, string, string) { return 200, "max-age=60", "a body too large" },
		"/304": func(r *http.Request) (int, string, string) {
			if r.Header.Get("If-None-Match") != "" {
				return 304, "no-cache", ""
			}
			return 200, "no-cache", "body"
		},
	}
	served := 0
	answers["/sie"] = func(*http.Request) (int, string, string) {
		if served++; served > 1 {
			return 503, "", "down"
		}
		return 200, "max-age=0, stale-if-error=60", "body"
	}
	rt := h.cache.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		status, cc, text := answers[r.URL.Path](r)
		opened.Add(1)
		return &http.Response{
			StatusCode: status, ContentLength: -1, Request: r,
			Header: http.Header{"Cache-Control": {cc}, "Etag": {`"e"`}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
			Body:   closeCounter{strings.NewReader(text), &closed},
		}, nil
	}))
	for path := range answers {
		for range 3 {
			req, _ := http.NewRequest("GET", "http://origin.test"+path, nil)
			resp, err := rt.RoundTrip(req)
			require.NoError(t, err, path)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err, path)
			require.NoError(t, resp.Body.Close())
			require.Contains(t, string(text), "body", fmt.Sprint(path, resp.Header))
		}
	}
	eventually(t, func() bool { return opened.Load() == closed.Load() }, "all bodies are closed")
}

// A RoundTripper that is no HTTP client may return incomplete responses, as http.Client allows.
func TestTransportAcceptsIncompleteResponses(t *testing.T) {
	for _, header := range []http.Header{{"Cache-Control": {"max-age=60"}}, {"Cache-Control": {"no-store"}}, nil} {
		for method, body := range map[string]string{http.MethodGet: "body", http.MethodPut: "body", http.MethodHead: ""} {
			var answer *http.Response
			cache := newCache(t, middleware.Config{})
			client := &http.Client{Transport: cache.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
				return answer, nil
			}))}
			ask := func() (string, error) {
				r, err := http.NewRequest(method, "http://example.com/", nil)
				require.NoError(t, err)
				response, err := client.Do(r)
				if err != nil {
					return "", err
				}
				defer response.Body.Close()
				text, err := io.ReadAll(response.Body)
				return string(text), err
			}
			_, err := ask()
			require.ErrorContains(t, err, "neither a response nor an error")

			answer = &http.Response{StatusCode: http.StatusOK, Header: header.Clone()} // no body
			got, err := ask()
			require.NoError(t, err)
			require.Empty(t, got)

			require.NoError(t, cache.Wait(t.Context()))
			require.NoError(t, cache.PurgeAll(t.Context()))
			answer = &http.Response{StatusCode: http.StatusOK, Header: header.Clone()} // no length
			if body != "" {
				answer.Body = io.NopCloser(strings.NewReader(body))
			}
			got, err = ask()
			require.NoError(t, err)
			require.Equal(t, body, got, method)
		}
	}
}

// If only the header gives the length of a response, that is its length.
func TestTransportTakesALengthFromTheHeader(t *testing.T) {
	for length, whole := range map[string]bool{"4": true, "5": false, "0": false} {
		cache := newCache(t, middleware.Config{})
		rt := cache.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader("body")),
				Header: http.Header{"Cache-Control": {"max-age=60"}, "Content-Length": {length}},
			}, nil
		}))
		r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
		require.NoError(t, err)
		response, err := rt.RoundTrip(r)
		require.NoError(t, err)
		_, err = io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		require.NoError(t, cache.Wait(t.Context()))
		if whole {
			require.NoError(t, err, length)
		} else {
			require.ErrorIs(t, err, cirque.ErrAborted, length)
		}
	}
}

// Each client has its own trailer map.
func TestTransportCallerMayChangeTrailers(t *testing.T) {
	h := newTransportHarness(t, middleware.Config{}, nil)
	sent, body := io.Pipe()
	rt := h.cache.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, ContentLength: -1, Body: sent,
			Header: http.Header{"Cache-Control": {"max-age=60"}}, Trailer: http.Header{"X-Sum": {"42"}},
		}, nil
	}))
	var responses [2]*http.Response
	for i := range responses {
		r, err := http.NewRequest(http.MethodGet, "http://example.com/", nil)
		require.NoError(t, err)
		responses[i], err = rt.RoundTrip(r)
		require.NoError(t, err)
	}
	require.NoError(t, body.Close())
	for _, response := range responses {
		_, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, []string{"42"}, response.Trailer["X-Sum"])
		response.Trailer["X-Sum"][0] = "changed"
	}
}
