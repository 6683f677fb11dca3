package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// benchFields are ten header fields of a usual response.
var benchFields = [][2]string{
	{"Cache-Control", "public, max-age=86400"}, {"Content-Type", "text/html; charset=utf-8"}, {"Content-Length", "1024"},
	{"Etag", `"0123456789abcdef"`}, {"Last-Modified", "Tue, 15 Nov 2022 12:45:26 GMT"}, {"Server", "origin/1.0"},
	{"X-Request-Id", "c0ffee00-dead-beef-cafe-0123456789ab"}, {"Strict-Transport-Security", "max-age=63072000"},
	{"X-Content-Type-Options", "nosniff"}, {"Date", time.Now().UTC().Format(http.TimeFormat)},
}

var benchBody = strings.Repeat("x", 1024)

// bareHandler writes what the cache will serve.
func bareHandler(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	for _, f := range benchFields {
		header[f[0]] = []string{f[1]}
	}
	io.WriteString(w, benchBody)
}

// discardWriter is a ResponseWriter that costs as little as possible.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header               { return w.header }
func (w *discardWriter) Write(p []byte) (int, error)       { return len(p), nil }
func (w *discardWriter) WriteString(s string) (int, error) { return len(s), nil }
func (w *discardWriter) WriteHeader(int)                   {}

func benchHandler(b *testing.B, handler http.Handler) {
	r := httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	w := &discardWriter{make(http.Header)}
	handler.ServeHTTP(w, r)
	b.ReportAllocs()
	for b.Loop() {
		w.header = make(http.Header)
		handler.ServeHTTP(w, r)
	}
}

func newBenchCache(b testing.TB) *middleware.Cache {
	cache, err := middleware.New(middleware.Config{MaxBytes: 4 << 30})
	require.NoError(b, err)
	return cache
}

func BenchmarkHandlerBare(b *testing.B) { benchHandler(b, http.HandlerFunc(bareHandler)) }

func BenchmarkHandlerHit(b *testing.B) {
	benchHandler(b, newBenchCache(b).Handler(http.HandlerFunc(bareHandler)))
}

func BenchmarkTransportHit(b *testing.B) {
	recorder := httptest.NewRecorder()
	bareHandler(recorder, nil)
	rt := newBenchCache(b).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp := recorder.Result()
		resp.Request = r
		return resp, nil
	}))
	r, _ := http.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2048)
	get := func() {
		resp, err := rt.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := resp.Body.Read(buffer); err != nil {
				break
			}
		}
		resp.Body.Close()
	}
	get()
	b.ReportAllocs()
	for b.Loop() {
		get()
	}
}

func BenchmarkHandlerMiss(b *testing.B) {
	handler := newBenchCache(b).Handler(http.HandlerFunc(bareHandler))
	w := &discardWriter{make(http.Header)}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		w.header = make(http.Header)
		r := httptest.NewRequest("GET", fmt.Sprint("http://example.test/", i), nil)
		handler.ServeHTTP(w, r)
	}
}

// varyingHandler returns a cache's handler that has a response stored which varies, in so many variants, and the request
// for one of them.
func varyingHandler(tb testing.TB, variants int) (http.Handler, *http.Request) {
	handler := newBenchCache(tb).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Vary"] = []string{"Accept-Encoding"}
		bareHandler(w, r)
	}))
	r := httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	for i := range variants {
		r.Header.Set("Accept-Encoding", fmt.Sprintf("gzip, deflate, br, zstd;q=0.%03d", i+1))
		handler.ServeHTTP(&discardWriter{make(http.Header)}, r)
	}
	return handler, r
}

// BenchmarkHandlerHitVary is a hit on the most usual of varying responses.
func BenchmarkHandlerHitVary(b *testing.B) {
	for _, variants := range []int{1, 64} {
		b.Run(fmt.Sprint("variants=", variants), func(b *testing.B) {
			handler, r := varyingHandler(b, variants)
			w := &discardWriter{}
			b.ReportAllocs()
			for b.Loop() {
				w.header = make(http.Header)
				handler.ServeHTTP(w, r)
			}
		})
	}
}
