package middleware_test

import (
	"fmt"
	"io"
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

// benchFields are ten header fields of a common response.
var benchFields = [][2]string{
	{"Cache-Control", "public, max-age=86400"}, {"Content-Type", "text/html; charset=utf-8"}, {"Content-Length", "1024"},
	{"Etag", `"0123456789abcdef"`}, {"Last-Modified", "Tue, 15 Nov 2022 12:45:26 GMT"}, {"Server", "origin/1.0"},
	{"X-Request-Id", "c0ffee00-dead-beef-cafe-0123456789ab"}, {"Strict-Transport-Security", "max-age=63072000"},
	{"X-Content-Type-Options", "nosniff"}, {"Date", time.Now().UTC().Format(http.TimeFormat)},
}

var benchBody = strings.Repeat("x", 1024)

// bareHandler writes the response that the benchmarks cache.
func bareHandler(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	for _, f := range benchFields {
		header[f[0]] = []string{f[1]}
	}
	io.WriteString(w, benchBody)
}

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
	cache := newCache(b, middleware.Config{MaxBytes: 4 << 30})
	return cache
}

func BenchmarkHandlerBare(b *testing.B) { benchHandler(b, http.HandlerFunc(bareHandler)) }

func BenchmarkHandlerHit(b *testing.B) {
	benchHandler(b, newBenchCache(b).Handler(http.HandlerFunc(bareHandler)))
}

// benchOrigin is a RoundTripper that answers as bareHandler does.
func benchOrigin(r *http.Request) (*http.Response, error) {
	header := make(http.Header, len(benchFields))
	for _, f := range benchFields {
		header[f[0]] = []string{f[1]}
	}
	return &http.Response{
		StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(strings.NewReader(benchBody)), ContentLength: int64(len(benchBody)), Request: r,
	}, nil
}

// readAll sends r and reads the body, whose length must be that of benchBody.
func readAll(tb testing.TB, rt http.RoundTripper, r *http.Request, buffer []byte) {
	resp, err := rt.RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	bytes := 0
	for err == nil {
		var n int
		n, err = resp.Body.Read(buffer)
		bytes += n
	}
	if err != io.EOF || bytes != len(benchBody) {
		tb.Fatalf("read %d bytes: %v", bytes, err)
	}
	resp.Body.Close()
}

func BenchmarkTransportHit(b *testing.B) {
	rt := newBenchCache(b).Transport(roundTripFunc(benchOrigin))
	r, _ := http.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2048)
	readAll(b, rt, r, buffer)
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, rt, r, buffer)
	}
}

func BenchmarkTransportMiss(b *testing.B) {
	rt := newBenchCache(b).Transport(roundTripFunc(benchOrigin))
	buffer := make([]byte, 2048)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		r, _ := http.NewRequest("GET", fmt.Sprint("http://example.test/", i), nil)
		readAll(b, rt, r, buffer)
	}
}

// BenchmarkTransportRevalidation measures a stored response that must be validated each time; the
// origin answers 304.
func BenchmarkTransportRevalidation(b *testing.B) {
	rt := newBenchCache(b).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		resp, _ := benchOrigin(r)
		resp.Header["Cache-Control"] = []string{"no-cache"}
		if r.Header["If-None-Match"] != nil {
			resp.StatusCode, resp.Body, resp.ContentLength = http.StatusNotModified, http.NoBody, 0
		}
		return resp, nil
	}))
	r, _ := http.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2048)
	readAll(b, rt, r, buffer)
	b.ReportAllocs()
	for b.Loop() {
		readAll(b, rt, r, buffer)
	}
}

// BenchmarkHandlerHitParallel measures hits on a thousand resources from all processors at once.
func BenchmarkHandlerHitParallel(b *testing.B) {
	handler := newBenchCache(b).Handler(http.HandlerFunc(bareHandler))
	requests := make([]*http.Request, 1000)
	for i := range requests {
		requests[i] = httptest.NewRequest("GET", fmt.Sprint("http://example.test/", i), nil)
		handler.ServeHTTP(&discardWriter{make(http.Header)}, requests[i])
	}
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		w := &discardWriter{}
		for i := 0; pb.Next(); i++ {
			w.header = make(http.Header)
			handler.ServeHTTP(w, requests[i%len(requests)])
		}
	})
}

// BenchmarkCoalescing measures a hundred requests at once for a URL that is not stored.
func BenchmarkCoalescing(b *testing.B) {
	const clients = 100
	var fetches atomic.Int64
	handler := newBenchCache(b).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetches.Add(1)
		bareHandler(w, r)
	}))
	b.ReportAllocs()
	misses := 0
	for b.Loop() {
		misses++
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				r := httptest.NewRequest("GET", fmt.Sprint("http://example.test/", misses), nil)
				handler.ServeHTTP(&discardWriter{make(http.Header)}, r)
			})
		}
		wg.Wait()
	}
	require.EqualValues(b, misses, fetches.Load())
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

// varyingHandler returns a cache's handler in which a response is stored in so many variants, and
// the request for the last one.
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

// BenchmarkHandlerHitVary measures a hit on a response that varies on Accept-Encoding.
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
