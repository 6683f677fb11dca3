package middleware_test

import (
	"bufio"
	"compress/gzip"
	"context"
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

// gzipped compresses what next writes. A flush ends a block of the compressed stream.
func gzipped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		defer zip.Close()
		next.ServeHTTP(&gzipWriter{w, zip}, r)
	})
}

type gzipWriter struct {
	http.ResponseWriter
	zip *gzip.Writer
}

func (g *gzipWriter) Write(p []byte) (int, error) { return g.zip.Write(p) }

func (g *gzipWriter) Flush() {
	_ = g.zip.Flush()
	_ = http.NewResponseController(g.ResponseWriter).Flush()
}

// A cache between a compressing middleware and the handler does not make the answer larger. On a
// miss, the answer is flushed where the handler flushes and nowhere else.
func TestMissIsFlushedOnlyWhereTheHandlerFlushes(t *testing.T) {
	for name, every := range map[string]int{"never flushed": 0, "flushed now and then": 50, "flushed at once": 1} {
		t.Run(name, func(t *testing.T) {
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Content-Type", "text/plain")
				for i := range 400 {
					fmt.Fprintf(w, "line %d of %s: %x\n", i, r.URL, uint64(i)*0x9e3779b97f4a7c15)
					time.Sleep(20 * time.Microsecond) // so that readers keep up
					if every > 0 && i%every == 0 {
						w.(http.Flusher).Flush()
					}
				}
			})
			cache := newCache(t, middleware.Config{})
			size := func(h http.Handler) int {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("GET", "/page", nil))
				unzipped, err := gzip.NewReader(w.Body)
				compressed := w.Body.Len()
				require.NoError(t, err)
				body, err := io.ReadAll(unzipped)
				require.NoError(t, err)
				require.Equal(t, 400, strings.Count(string(body), "\n"))
				return compressed
			}
			bare, missed := size(gzipped(page)), size(gzipped(cache.Handler(page)))
			require.LessOrEqual(t, float64(missed), 1.02*float64(bare), "%d bytes through the cache, %d without", missed, bare)
		})
	}
}

// What the handler flushes reaches all readers of the fill at once, including the header by itself.
// It does not matter whether a reader came before the bytes or waits for more.
func TestFlushReachesAllReadersOfTheFill(t *testing.T) {
	const readers = 50
	event := make(chan string)
	end := sync.OnceFunc(func() { close(event) })
	t.Cleanup(end)
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Type", "text/event-stream")
		w.(http.Flusher).Flush()
		for e := range event {
			fmt.Fprintln(w, e)
			time.Sleep(5 * time.Millisecond) // the readers have it, and wait for more
			w.(http.Flusher).Flush()
		}
	}
	h := newHandlerHarness(t, middleware.Config{}, origin)
	bodies := make([]*bufio.Reader, readers)
	for i := range bodies {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
		response, err := h.client.Do(r)
		require.NoError(t, err, "the header must come before any of the body")
		defer response.Body.Close()
		bodies[i] = bufio.NewReader(response.Body)
	}
	for n := range 5 {
		event <- fmt.Sprint("event ", n)
		for _, body := range bodies {
			line, err := body.ReadString('\n')
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("event %d\n", n), line)
		}
	}
	end()
	for _, body := range bodies {
		_, err := body.ReadByte()
		require.Equal(t, io.EOF, err)
	}
}

// What the handler flushes reaches a reader of a range at once too.
func TestFlushReachesReadersOfARange(t *testing.T) {
	hold, open := gate(t)
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "20")
		io.WriteString(w, "0123456789")
		time.Sleep(5 * time.Millisecond)
		w.(http.Flusher).Flush()
		<-hold
		io.WriteString(w, "abcdefghij")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
	r.Header.Set("Range", "bytes=5-14")
	response, err := h.client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, 206, response.StatusCode)
	first := make([]byte, 5)
	_, err = io.ReadFull(response.Body, first)
	require.NoError(t, err)
	require.Equal(t, "56789", string(first))
	open()
	rest, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "abcde", string(rest))
}

// A client that does not read does not hold up the handler that flushes.
func TestSlowClientDoesNotHoldUpFlushes(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	stuck, free := gate(t)
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		for range 10 {
			io.WriteString(w, "event\n")
			time.Sleep(5 * time.Millisecond)
			w.(http.Flusher).Flush()
		}
	}))
	request := httptest.NewRequest("GET", "/", nil)
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() { door.ServeHTTP(&stuckWriter{httptest.NewRecorder(), stuck}, request) })
	}
	require.NoError(t, cache.Wait(t.Context()))
	w := httptest.NewRecorder()
	door.ServeHTTP(w, request)
	require.Equal(t, 60, w.Body.Len())
	free()
	slow.Wait()
}

// stuckWriter is the writer of a client that reads nothing until free is closed.
type stuckWriter struct {
	*httptest.ResponseRecorder
	free chan struct{}
}

func (s *stuckWriter) Flush() { <-s.free; s.ResponseRecorder.Flush() }

// Flushing is safe while the same answer is written, and ends with ServeHTTP.
func TestFlushesEndWithTheAnswer(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		for range 20 {
			io.WriteString(w, "event\n")
			w.(http.Flusher).Flush()
		}
	}))
	var clients sync.WaitGroup
	for i := range 200 {
		path := fmt.Sprintf("/%d", i/8)
		clients.Go(func() {
			w := &strictWriter{ResponseRecorder: httptest.NewRecorder()}
			door.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
			w.over.Store(true)
			if w.Body.Len() != 120 || w.late.Load() {
				t.Errorf("got %d bytes; writer used after ServeHTTP: %v", w.Body.Len(), w.late.Load())
			}
		})
	}
	clients.Wait()
}

// strictWriter records whether it is used after ServeHTTP has returned.
type strictWriter struct {
	*httptest.ResponseRecorder
	over, late atomic.Bool
}

func (s *strictWriter) Flush() {
	if s.over.Load() {
		s.late.Store(true)
	}
	s.ResponseRecorder.Flush()
}
