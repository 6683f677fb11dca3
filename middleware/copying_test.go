package middleware_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// keepingWriter does what the ResponseWriter of an HTTP/2 server can do when the stream is reset
// during a Write: it keeps the bytes, and returns an error.
type keepingWriter struct {
	header http.Header
	kept   []byte
}

func (k *keepingWriter) Header() http.Header { return k.header }
func (*keepingWriter) WriteHeader(int)       {}
func (k *keepingWriter) Write(p []byte) (int, error) {
	if k.kept == nil {
		k.kept = p
	}
	return 0, errors.New("the stream was reset")
}

// What a client of HTTP/2 that reset its stream may still be sent is never part of another
// response.
func TestBytesOfAResetStreamDoNotChange(t *testing.T) {
	eachStorage(t, func(t *testing.T, open func(t *testing.T) cirque.Storage) {
		for _, size := range []int{100, 3 << 10, 20 << 10, 200 << 10} {
			cache := newCache(t, middleware.Config{Storage: open(t)})
			handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Write(bytes.Repeat([]byte(r.URL.Path[1:2]), size))
			}))
			get := func(w http.ResponseWriter, path string) {
				r := httptest.NewRequest("GET", path, nil)
				r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0
				handler.ServeHTTP(w, r)
				require.NoError(t, cache.Wait(t.Context()))
			}
			get(httptest.NewRecorder(), "/a")
			reset := &keepingWriter{header: http.Header{}}
			require.Panics(t, func() { get(reset, "/a") })
			require.NotEmpty(t, reset.kept)
			require.NoError(t, cache.Purge(t.Context(), httptest.NewRequest("GET", "/a", nil)))
			for i := range 40 {
				get(httptest.NewRecorder(), fmt.Sprintf("/b%d", i))
				get(httptest.NewRecorder(), fmt.Sprintf("/b%d", i))
			}
			require.Equal(t, strings.Repeat("a", len(reset.kept)), string(reset.kept), "of %d bytes", size)
		}
	})
}
