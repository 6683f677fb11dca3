package middleware_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

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
			state <- fmt.Sprint("lives on ", r.Context().Value(contextKey{}), " ", r.Context().Value(http.ServerContextKey) != nil)
		}
	})
	h := newHarness(t, "handler", middleware.Config{}, nil)
	h.front.Close()
	h.front = httptest.NewUnstartedServer(h.cache.Handler(next))
	h.front.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
		return context.WithValue(ctx, contextKey{}, "kept")
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

// A handler around the cache may recover from http.ErrAbortHandler. Half an answer still does not
// look complete, by HTTP/1.1 or HTTP/2, to the client that caused the fetch or to those that read
// along.
func TestRecoveredAbortDoesNotEndTheAnswerCleanly(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			cache := newCache(t, middleware.Config{})
			begun, fail := make(chan struct{}), make(chan struct{})
			door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, strings.Repeat("the first half ", 100))
				w.(http.Flusher).Flush()
				close(begun)
				<-fail
				panic(http.ErrAbortHandler)
			}))
			front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { _ = recover() }()
				door.ServeHTTP(w, r)
			}))
			front.EnableHTTP2 = proto == "HTTP/2.0"
			front.StartTLS()
			defer front.Close()
			var bodies [2]io.ReadCloser
			for i := range bodies {
				response, err := front.Client().Get(front.URL)
				require.NoError(t, err)
				require.Equal(t, proto, response.Proto)
				bodies[i] = response.Body
				<-begun
			}
			close(fail)
			for i, body := range bodies {
				_, err := io.Copy(io.Discard, body)
				require.Error(t, err, "client %d", i)
				body.Close()
			}
		})
	}
}

// Some routers write a handler's error after all middleware has returned, to the ResponseWriter
// that the cache gave them. A handler that returned without writing is not stored as an empty 200.
func TestAnswerWrittenAfterTheHandlerReturnedIsSent(t *testing.T) {
	for name, late := range map[string]func(w http.ResponseWriter){
		"nothing":   func(http.ResponseWriter) {},
		"error":     func(w http.ResponseWriter) { http.Error(w, "no such thing", http.StatusNotFound) },
		"body":      func(w http.ResponseWriter) { io.WriteString(w, "body") },
		"read from": func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(strings.NewReader("body")) },
		"flush":     func(w http.ResponseWriter) { w.(http.Flusher).Flush(); io.WriteString(w, "body") },
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			h := newHarness(t, "handler", middleware.Config{}, nil)
			var inner http.ResponseWriter
			var mu sync.Mutex
			door := h.cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("X-Inner", "set")
				inner = w
			}))
			h.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				defer mu.Unlock()
				w.Header().Set("X-Outer", "set")
				door.ServeHTTP(w, r)
				inner.Header().Del("X-Inner")
				late(inner)
			})
			for n := range int32(2) {
				for _, method := range []string{"GET", "HEAD", "POST"} {
					r := h.do(method, "/")
					require.NoError(t, r.err)
					require.Equal(t, map[bool]int{false: 200, true: 404}[name == "error"], r.StatusCode)
					require.Equal(t, "set", r.Header.Get("X-Outer"))
					require.Equal(t, map[bool]string{true: "set"}[name == "nothing"], r.Header.Get("X-Inner"))
					if method != "HEAD" && name != "nothing" {
						require.Equal(t, map[bool]string{false: "body", true: "no such thing\n"}[name == "error"], r.body)
					}
					require.NotContains(t, r.status(), "stored")
				}
				require.Equal(t, 3*(n+1), asked.Load())
			}
		})
	}
}

// Clients that wait for such an answer are released.
func TestWaitersOfAHandlerThatWritesNothingAreReleased(t *testing.T) {
	const clients = 20
	var asked atomic.Int32
	hold, open := gate(t)
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			<-hold
		}
	})
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			if r := h.try("GET", "/"); r.err != nil || r.StatusCode != 200 {
				t.Error(r.err, r.StatusCode)
			}
		})
	}
	eventually(t, func() bool { return asked.Load() == 1 }, "the first client reaches the origin")
	open()
	all.Wait()
	require.EqualValues(t, clients, asked.Load())
}
