package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

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
