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

// An answer without content does not wait for the content that is being fetched.
func TestAnswersWithoutContentComeAtOnce(t *testing.T) {
	const content = "the content of the page"
	for _, test := range []struct {
		name, method string
		header       []string
		status       int
	}{
		{"HEAD", http.MethodHead, nil, http.StatusOK},
		{"304", http.MethodGet, []string{"If-None-Match", `"v1"`}, http.StatusNotModified},
		{"416", http.MethodGet, []string{"Range", "bytes=1000-"}, http.StatusRequestedRangeNotSatisfiable},
	} {
		t.Run(test.name, func(t *testing.T) {
			hold, open := gate(t)
			h := newHandlerHarness(t, middleware.Config{HeadAsGet: true}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"v1"`)
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				io.WriteString(w, content[:5])
				<-hold
				io.WriteString(w, content[5:])
			})
			defer open()
			h.client.Timeout = 10 * time.Second
			require.Equal(t, test.status, h.do(test.method, "/", test.header...).StatusCode)
		})
	}
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

// closeNotifier is http.CloseNotifier, which some frameworks still use.
type closeNotifier interface{ CloseNotify() <-chan bool }

// A handler's ResponseWriter has the optional interfaces that a server's has, except http.Hijacker.
// In a background revalidation an outer handler's writer has them too.
func TestHandlerResponseWriterHasTheServersInterfaces(t *testing.T) {
	var asked atomic.Int32
	check := func(w http.ResponseWriter, hijacks bool) {
		_, flusher := w.(http.Flusher)
		_, stringWriter := w.(io.StringWriter)
		_, readerFrom := w.(io.ReaderFrom)
		_, hijacker := w.(http.Hijacker)
		notifier, ok := w.(closeNotifier)
		if !flusher || !stringWriter || !readerFrom || !ok || hijacker != hijacks {
			t.Errorf("flusher %v, string writer %v, reader from %v, close notifier %v, hijacker %v", flusher, stringWriter, readerFrom, ok, hijacker)
			return
		}
		select {
		case <-notifier.CloseNotify():
			t.Error("CloseNotify must not report a client that is still there")
		default:
		}
	}
	cache := newCache(t, middleware.Config{})
	inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(w, false)
		w.Header().Set("Cache-Control", "max-age=100, stale-while-revalidate=100")
		aged(w, 150*time.Second)
		fmt.Fprint(w, asked.Add(1))
	}))
	h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(w, !middleware.IsRefresh(r.Context()))
		inner.ServeHTTP(w, r)
	}))
	for range 2 {
		require.Equal(t, "1", h.get("/").body)
		require.NoError(t, cache.Wait(t.Context()))
	}
	require.EqualValues(t, 2, asked.Load())
}

// A handler may end early because CloseNotify tells it to. CloseNotify reports only the
// cancellation of the fetch, and nothing of such a fetch is stored.
func TestCloseNotifyReportsTheEndOfTheFetch(t *testing.T) {
	for _, cacheable := range []bool{false, true} {
		told := make(chan bool, 1)
		h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", map[bool]string{false: "no-store", true: "max-age=60"}[cacheable])
			io.WriteString(w, "one ")
			w.(http.Flusher).Flush()
			select {
			case <-w.(closeNotifier).CloseNotify():
				told <- true
			case <-time.After(500 * time.Millisecond):
				io.WriteString(w, "two")
				told <- false
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
		response, err := h.client.Do(r)
		require.NoError(t, err)
		cancel()
		response.Body.Close()
		require.Equal(t, !cacheable, <-told)
		if cacheable {
			require.NoError(t, h.cache.Wait(t.Context()))
			again := h.get("/")
			require.Equal(t, "one two", again.body)
			require.Contains(t, again.status(), "; hit")
		}
	}
}
