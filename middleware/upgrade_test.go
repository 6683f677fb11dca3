package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty/faultystorage"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// upgrade has the fields of a request that offers another protocol.
var upgrade = []string{"Connection", "Upgrade", "Upgrade", "foo"}

// An unsafe request that offers an upgrade invalidates like any other, however its answer is
// written.
func TestUnsafeUpgradesInvalidate(t *testing.T) {
	answers := map[string]struct {
		write       func(w http.ResponseWriter)
		invalidates bool
	}{
		"200":                             {func(w http.ResponseWriter) { w.WriteHeader(http.StatusOK); io.WriteString(w, "done") }, true},
		"204":                             {func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }, true},
		"303":                             {func(w http.ResponseWriter) { w.WriteHeader(http.StatusSeeOther) }, true},
		"no status":                       {func(w http.ResponseWriter) { io.WriteString(w, "done") }, true},
		"bytes":                           {func(w http.ResponseWriter) { w.Write([]byte("done")) }, true},
		"copied":                          {func(w http.ResponseWriter) { io.Copy(w, io.LimitReader(strings.NewReader("done"), 4)) }, true},
		"nothing":                         {func(http.ResponseWriter) {}, true},
		"flushed":                         {func(w http.ResponseWriter) { w.(http.Flusher).Flush(); w.WriteHeader(http.StatusInternalServerError) }, true},
		"flushed by a ResponseController": {func(w http.ResponseWriter) { http.NewResponseController(w).Flush() }, true},
		"hints, then 200":                 {func(w http.ResponseWriter) { w.WriteHeader(http.StatusEarlyHints); io.WriteString(w, "done") }, true},
		"hints, then 500": {func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusInternalServerError)
		}, false},
		"400": {func(w http.ResponseWriter) { http.Error(w, "no", http.StatusBadRequest) }, false},
		"500": {func(w http.ResponseWriter) { http.Error(w, "no", http.StatusInternalServerError) }, false},
		"hijacked": {func(w http.ResponseWriter) {
			answerHijacked(w.(http.Hijacker).Hijack, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}, true},
		"hijacked by a ResponseController": {func(w http.ResponseWriter) {
			answerHijacked(http.NewResponseController(w).Hijack, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}, true},
		"another protocol": {func(w http.ResponseWriter) {
			answerHijacked(w.(http.Hijacker).Hijack, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\nfoo")
		}, true},
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("body")(w, r)
			return
		}
		w.Header().Set("location", r.URL.EscapedPath()+"/elsewhere") // not in canonical form
		answers[r.Header.Get("X-Answer")].write(w)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, "FROB"} {
			for name, answer := range answers {
				// Each case has its own URL, as a hijacked request invalidates once more when its
				// handler returns.
				target := "/" + method + "/" + url.PathEscape(name)
				for _, path := range []string{target, target + "/elsewhere"} {
					h.get(path)
					require.Contains(t, h.get(path).status(), "; hit")
				}
				resp := h.try(method, target, append(upgrade, "X-Answer", name)...)
				if resp.Response.Body != nil {
					resp.Response.Body.Close()
				}
				for _, path := range []string{target, target + "/elsewhere"} {
					if path != target && (strings.Contains(name, "hijacked") || name == "another protocol") {
						continue // the origin sent no Location
					}
					require.Equal(t, !answer.invalidates, strings.Contains(h.get(path).status(), "; hit"), path)
				}
			}
		}
	})
}

// answerHijacked takes over the connection and writes text to it.
func answerHijacked(hijack func() (net.Conn, *bufio.ReadWriter, error), text string) {
	conn, rw, err := hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	rw.WriteString(text)
	rw.Flush()
}

// A GET that offers an upgrade, as a WebSocket's does, invalidates nothing and gets the server's
// own writer.
func TestSafeUpgradesInvalidateNothing(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	var own atomic.Bool
	type writer struct{ http.ResponseWriter }
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, isOwn := w.(writer)
		own.Store(isOwn)
		fresh("body")(w, r)
	}))
	h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { cached.ServeHTTP(writer{w}, r) }))
	h.getTwice("/")
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodOptions} {
		h.do(method, "/", upgrade...)
		require.True(t, own.Load(), method)
	}
	require.Contains(t, h.get("/").status(), "; hit")
}

// A handler may keep an upgraded connection as long as it likes, in both directions. What it
// changed before it returns is invalidated before the next request is answered from the cache.
func TestUnsafeUpgradeInvalidatesWhenItsHandlerReturns(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	var state atomic.Value
	state.Store("old")
	h := serve(t, cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh(state.Load().(string))(w, r)
			return
		}
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		state.Store(strings.TrimSpace(line))
		fmt.Fprintf(rw, "now %s\n", state.Load())
		rw.Flush()
		rw.ReadString('\n') // until the client has asked in between
	})))
	require.Equal(t, "old", h.getTwice("/"))
	conn, err := net.Dial("tcp", h.front.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	fmt.Fprintf(conn, "PUT / HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n", h.front.Listener.Addr())
	answer := bufio.NewReader(conn)
	resp, err := http.ReadResponse(answer, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
	require.Equal(t, "old", h.getTwice("/"), "the handler has not changed anything yet")
	fmt.Fprint(conn, "new\n")
	line, err := answer.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "now new\n", line)
	fmt.Fprint(conn, "bye\n")
	_, err = answer.ReadString('\n')
	require.ErrorIs(t, err, io.EOF)
	eventually(t, func() bool { return h.get("/").body == "new" }, "the handler's return invalidates what was stored meanwhile")
}

// CONNECT with an authority names no resource and gets the server's own writer. CONNECT with a path
// is an unsafe request.
func TestConnectGetsTheRawResponseWriter(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fresh("body")(w, r)
			return
		}
		answerHijacked(w.(http.Hijacker).Hijack, fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Writer: %T\r\n\r\n", w))
	}))
	h := serve(t, cached)
	h.getTwice("/rpc")
	connect := func(target string) string {
		conn, err := net.Dial("tcp", h.front.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, h.front.Listener.Addr())
		resp, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		return resp.Header.Get("X-Writer")
	}
	require.Equal(t, "*http.response", connect("example.test:443"))
	require.Contains(t, h.get("/rpc").status(), "; hit")
	connect("/rpc")
	require.NotContains(t, h.get("/rpc").status(), "; hit")
}

// plainWriter has no optional interfaces.
type plainWriter struct{ http.ResponseWriter }

// wrappedWriter has the optional interfaces of the writer below, through Unwrap alone.
type wrappedWriter struct{ http.ResponseWriter }

func (w wrappedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// The writer that stands in for the server's, to see the status, has the abilities of the server's
// and no others.
func TestWriterOfAnUnsafeUpgradeHasTheServersAbilities(t *testing.T) {
	for name, wrap := range map[string]func(http.ResponseWriter) http.ResponseWriter{
		"the server's": func(w http.ResponseWriter) http.ResponseWriter { return w },
		"wrapped":      func(w http.ResponseWriter) http.ResponseWriter { return wrappedWriter{w} },
		"plain":        func(w http.ResponseWriter) http.ResponseWriter { return plainWriter{w} },
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, middleware.Config{})
			var hijacker atomic.Bool
			var deadline, flush error
			cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					fresh("body")(w, r)
					return
				}
				_, ok := w.(http.Hijacker)
				hijacker.Store(ok)
				//lint:ignore SA1019 as some frameworks do
				w.(http.CloseNotifier).CloseNotify()
				control := http.NewResponseController(w)
				deadline = control.SetReadDeadline(time.Now().Add(time.Minute))
				io.WriteString(w, "done")
				flush = control.Flush()
			}))
			h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { cached.ServeHTTP(wrap(w), r) }))
			h.getTwice("/")
			require.Equal(t, "done", h.do(http.MethodPost, "/", upgrade...).body)
			require.NotContains(t, h.get("/").status(), "; hit")
			require.Equal(t, name != "plain", hijacker.Load())
			for _, err := range []error{deadline, flush} {
				require.Equal(t, name == "plain", errors.Is(err, http.ErrNotSupported), err)
			}
		})
	}
}

// The base's answer reaches the caller unchanged, an upgraded connection included. If the Storage
// panics meanwhile, the answer is closed.
func TestTransportReturnsUpgradesUnchanged(t *testing.T) {
	var fail atomic.Bool
	storage, _ := faultystorage.Wrap(memcache.New(memcache.Config{}),
		faultWhile(faultystorage.Purge, fail.Load, faultystorage.Fault{Panic: "broken"}))
	cache := newCache(t, middleware.Config{Storage: storage})
	var closed atomic.Int32
	want := respond("body", "location", "/b")
	want.StatusCode, want.Body = http.StatusSwitchingProtocols, closeCounter{want.Body, &closed}
	door := cache.Transport(answering(func(r *http.Request) *http.Response { return want }))
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://example.test/", nil)
	require.NoError(t, err)
	r.Header = http.Header{"connection": {"upgrade"}, "upgrade": {"foo"}}
	got, err := door.RoundTrip(r)
	require.NoError(t, err)
	require.Same(t, want, got)
	require.Zero(t, closed.Load())
	fail.Store(true)
	require.Panics(t, func() { door.RoundTrip(r) })
	require.EqualValues(t, 1, closed.Load())
}
