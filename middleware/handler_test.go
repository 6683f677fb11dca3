package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// newHandlerHarness returns a harness whose server is the cache in front of next, without a proxy.
func newHandlerHarness(t *testing.T, cfg middleware.Config, next http.HandlerFunc) *harness {
	t.Helper()
	h := newHarness(t, "handler", cfg, nil)
	h.front.Close()
	h.front = httptest.NewUnstartedServer(h.cache.Handler(next))
	h.front.Config.ErrorLog = quiet
	h.front.Start()
	t.Cleanup(h.front.Close)
	return h
}

func TestHandlerUpgradeGetsTheRawResponseWriter(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		rw.WriteString(line)
		rw.Flush()
	})
	conn, err := net.Dial("tcp", h.front.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo\r\n\r\nping\n")
	body := bufio.NewReader(conn)
	resp, err := http.ReadResponse(body, nil)
	require.NoError(t, err)
	require.Equal(t, 101, resp.StatusCode)
	line, err := body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "ping\n", line)
}

func TestHandlerResponseWriterHasNoUnwrap(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		_, unwraps := w.(interface{ Unwrap() http.ResponseWriter })
		_, _, hijackErr := http.NewResponseController(w).Hijack()
		fmt.Fprint(w, unwraps, " ", errors.Is(hijackErr, errors.ErrUnsupported))
	})
	require.Equal(t, "false true", h.get("/").body)
}

func TestHandlerHeaderIsFixedAtWriteHeader(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("X-A", "before")
		w.WriteHeader(203)
		w.Header().Set("X-A", "after")
		io.WriteString(w, "body")
	})
	for range 2 {
		r := h.get("/")
		require.Equal(t, 203, r.StatusCode)
		require.Equal(t, "before", r.Header.Get("X-A"))
	}
}

func TestHandlerSetsDateAndContentTypeAtAdmission(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/suppressed" {
			w.Header()["Content-Type"] = nil
		}
		io.WriteString(w, "<html><body>")
	})
	first, second := h.get("/"), h.get("/")
	require.Equal(t, "text/html; charset=utf-8", first.Header.Get("Content-Type"))
	require.Equal(t, first.Header.Get("Content-Type"), second.Header.Get("Content-Type"))
	require.NotEmpty(t, first.Header.Get("Date"))
	require.Equal(t, first.Header.Get("Date"), second.Header.Get("Date"))
	require.Contains(t, second.status(), "; hit")
	for range 2 {
		r := h.get("/suppressed")
		require.NotContains(t, r.Header, "Content-Type")
	}
}

func TestHandlerWriteErrorsAreThoseOfNetHTTP(t *testing.T) {
	errs := make(chan error, 4)
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
			_, err := io.WriteString(w, "d")
			errs <- err
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			_, err := io.WriteString(w, "d")
			errs <- err
		}
	})
	resp, err := h.client.Get(h.front.URL + "/long")
	if err == nil {
		// Only as many bytes as were declared are read; the server handles the rest.
		io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	require.ErrorIs(t, <-errs, http.ErrContentLength)
	require.Equal(t, 204, h.get("/none").StatusCode)
	require.ErrorIs(t, <-errs, http.ErrBodyNotAllowed)
}

func TestHandlerInterimResponsesPassAtOnceInOrder(t *testing.T) {
	calls := 0
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Link", "</script.js>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	})
	for i := range 2 {
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
				return nil
			},
		})
		req, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL+"/", nil)
		resp, err := h.client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Empty(t, resp.Header.Get("Link"))
		if i == 0 {
			require.Equal(t, []string{"103 </style.css>; rel=preload", "103 </script.js>; rel=preload"}, hints)
		} else {
			require.Empty(t, hints)
		}
	}
	require.Equal(t, 1, calls)
}

func TestHandlerTrailersReachReadersAndAreNotStored(t *testing.T) {
	release := make(chan struct{})
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		http.NewResponseController(w).Flush()
		<-release
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-More", "yes")
	})
	var attached []*http.Response
	for range 2 {
		resp, err := h.client.Get(h.front.URL + "/")
		require.NoError(t, err)
		attached = append(attached, resp)
	}
	close(release)
	for _, resp := range attached {
		io.ReadAll(resp.Body)
		resp.Body.Close()
		require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
		require.Equal(t, "yes", resp.Trailer.Get("X-More"))
	}
	again := h.get("/")
	require.Contains(t, again.status(), "; hit")
	require.Empty(t, again.Trailer)
}

func TestHandlerTrailersOfUncacheableResponsesPass(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-More", "yes")
	})
	r := h.get("/")
	require.Equal(t, "42", r.Trailer.Get("X-Sum"))
	require.Equal(t, "yes", r.Trailer.Get("X-More"))
}

type ctxKey struct{}

func TestHandlerContextKeepsValuesAndLosesCancellation(t *testing.T) {
	state := make(chan string, 2)
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cacheable := r.URL.Path == "/cacheable"
		if cacheable {
			w.Header().Set("Cache-Control", "max-age=60")
		} else {
			w.Header().Set("Cache-Control", "no-store")
		}
		io.WriteString(w, "x")
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			state <- "cancelled"
		case <-time.After(300 * time.Millisecond):
			state <- fmt.Sprint("lives on ", r.Context().Value(ctxKey{}), " ", r.Context().Value(http.ServerContextKey) != nil)
		}
	})
	h := newHarness(t, "handler", middleware.Config{}, nil)
	h.front.Close()
	h.front = httptest.NewUnstartedServer(h.cache.Handler(next))
	h.front.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, ctxKey{}, "kept")
	}
	h.front.Start()
	t.Cleanup(h.front.Close)
	for _, path := range []string{"/cacheable", "/uncacheable"} {
		resp, err := h.client.Get(h.front.URL + path)
		require.NoError(t, err)
		io.ReadFull(resp.Body, make([]byte, 1))
		resp.Body.Close()
	}
	require.ElementsMatch(t, []string{"lives on kept true", "cancelled"}, []string{<-state, <-state})
}

// ServeHTTP returns only after next has returned, even if its client has left long ago.
func TestHandlerServeHTTPReturnsAfterNextHasReturned(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	nextReturned := false
	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "x")
		time.Sleep(50 * time.Millisecond)
		nextReturned = true
	}))
	ctx, cancel := context.WithCancel(t.Context())
	req := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
	cancel()
	func() {
		defer func() { recover() }()
		handler.ServeHTTP(httptest.NewRecorder(), req)
	}()
	require.True(t, nextReturned)
	require.NoError(t, cache.Close(t.Context()))
}

func TestHandlerPanicReachesTheServerAfterTheFillIsAborted(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	boom := true
	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "half")
		if boom {
			panic("boom")
		}
		io.WriteString(w, " and half")
	}))
	require.PanicsWithValue(t, "boom", func() {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	})
	boom = false
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Equal(t, "half and half", w.Body.String())
	require.Contains(t, w.Header().Get("Cache-Status"), "fwd=uri-miss")
}

func TestHandlerHitNeverCallsNext(t *testing.T) {
	calls := 0
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"v"`)
		io.WriteString(w, "0123456789")
	})
	h.get("/")
	for range 3 {
		require.Equal(t, "0123456789", h.get("/").body)
		require.Equal(t, "234", h.get("/", "Range", "bytes=2-4").body)
		require.Equal(t, 304, h.get("/", "If-None-Match", `"v"`).StatusCode)
		head := h.do("HEAD", "/")
		require.Equal(t, "10", head.Header.Get("Content-Length"))
	}
	require.Equal(t, 1, calls)
}

func TestHandlerMultipartRanges(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/plain")
		io.WriteString(w, "0123456789")
	})
	h.get("/")
	r := h.get("/", "Range", "bytes=0-1,8-9")
	require.Equal(t, 206, r.StatusCode)
	require.True(t, strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/byteranges; boundary="))
	require.NoError(t, r.err)
	require.EqualValues(t, len(r.body), r.ContentLength)
	require.Contains(t, r.body, "Content-Range: bytes 0-1/10\r\n\r\n01\r\n")
	require.Contains(t, r.body, "Content-Range: bytes 8-9/10\r\n\r\n89\r\n")
	require.Equal(t, 416, h.get("/", "Range", "bytes=20-").StatusCode)
	require.Equal(t, "bytes */10", h.get("/", "Range", "bytes=20-").Header.Get("Content-Range"))
}

// Each server-sent event reaches the client when the handler flushes it.
func TestHandlerStreamsUncacheableResponses(t *testing.T) {
	next := make(chan string)
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for event := range next {
			fmt.Fprintf(w, "data: %s\n\n", event)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
	})
	var body *bufio.Reader
	go func() { next <- "0" }()
	resp, err := h.client.Get(h.front.URL)
	require.NoError(t, err)
	defer resp.Body.Close()
	body = bufio.NewReader(resp.Body)
	for i := range 3 {
		line, err := body.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("data: %d\n", i), line)
		body.ReadString('\n')
		if i < 2 {
			next <- fmt.Sprint(i + 1)
		}
	}
	close(next)
}

func TestHandlerHeadAsGetFillsTheCache(t *testing.T) {
	var methods []string
	h := newHandlerHarness(t, middleware.Config{HeadAsGet: true}, func(w http.ResponseWriter, r *http.Request) {
		methods = append(methods, r.Method)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "<html>")
	})
	head := h.do("HEAD", "/")
	require.Empty(t, head.body)
	get := h.get("/")
	require.Equal(t, "<html>", get.body)
	require.Equal(t, "text/html; charset=utf-8", get.Header.Get("Content-Type"))
	require.Equal(t, []string{"GET"}, methods)
}

// Some clients offer HTTP/2 in their first request, whatever it is. The offer changes nothing about
// caching.
func TestHandlerIgnoresTheUpgradeToHTTP2(t *testing.T) {
	calls := 0
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		fresh("x")(w, r)
	})
	offer := []string{"Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQCAAAAAAIAAAAA"}
	h.get("/", offer...)
	require.Contains(t, h.get("/", offer...).status(), "; hit")
	require.Equal(t, 1, calls)
	require.Equal(t, 403, h.do("PURGE", "/", offer...).StatusCode)
	require.Equal(t, 200, h.do("POST", "/", offer...).StatusCode)
	require.NotContains(t, h.get("/").status(), "; hit")
}
