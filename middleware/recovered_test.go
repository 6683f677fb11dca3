package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

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
