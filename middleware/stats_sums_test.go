package middleware_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/ledger"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// sums is a cache with a ledger, and an origin with the paths that the conformance cases lack.
type sums struct {
	*ledger.Ledger
	cache  *middleware.Cache
	client *http.Client
	url    string
}

func newSums(t *testing.T, door string, cfg middleware.Config, origin http.HandlerFunc) *sums {
	t.Helper()
	s := &sums{Ledger: new(ledger.Ledger), cache: newCache(t, cfg), client: &http.Client{Transport: &http.Transport{}}}
	t.Cleanup(s.client.CloseIdleConnections)
	if door == "handler" {
		s.url = startServer(t, s.Handler(s.cache, origin)).URL
		return s
	}
	s.url = startServer(t, origin).URL
	s.client.Transport = s.Transport(s.cache, s.client.Transport)
	return s
}

func (s *sums) ask(t *testing.T, method, path string, header ...string) {
	t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	require.NoError(t, err)
	addFields(r.Header, header)
	response, err := s.client.Do(r)
	if err != nil {
		return
	}
	defer response.Body.Close()
	if _, upgraded := response.Body.(io.Writer); !upgraded {
		_, _ = io.Copy(io.Discard, response.Body)
	}
}

// check compares the sums when nothing is under way any more.
func (s *sums) check(t *testing.T) stats.Snapshot {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	require.NoError(t, s.cache.Wait(ctx))
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		// A handler returns a moment after its client has the answer.
		if err = s.Compare(s.cache.Stats()); err == nil {
			return s.cache.Stats()
		}
	}
	require.NoError(t, err)
	return stats.Snapshot{}
}

func TestSumsAgreeWithWhatCameAndWent(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch r.URL.Path {
		case "/dead":
			panic(http.ErrAbortHandler)
		case "/upgrade":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: test\r\n\r\n")
				conn.Close()
			}
			return
		case "/silent":
			return
		case "/large":
			h.Set("Cache-Control", "max-age=60")
			_ = http.NewResponseController(w).Flush() // no Content-Length
			_, _ = io.WriteString(w, strings.Repeat("x", 200_000))
			return
		case "/again":
			if r.Header.Get("If-None-Match") != "" {
				h.Set("Etag", `"other"`)
				w.WriteHeader(http.StatusNotModified)
				return
			}
			h.Set("Etag", `"1"`)
			h.Set("Cache-Control", "no-cache")
		case "/stands-in":
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.Set("Etag", `"1"`)
			h.Set("Cache-Control", "max-age=1, stale-if-error=600")
			aged(w, 30*time.Second)
		case "/uncacheable":
			h.Set("Cache-Control", "no-store")
		default:
			h.Set("Cache-Control", "max-age=60")
			h.Set("Etag", `"1"`)
		}
		_, _ = io.WriteString(w, strings.Repeat("x", 1000)) // also for HEAD, as handlers do
	}
	for _, door := range []string{"handler", "transport"} {
		for _, heads := range []bool{false, true} {
			t.Run(door, func(t *testing.T) {
				s := newSums(t, door, middleware.Config{MaxObjectBytes: 100_000, HeadAsGet: heads}, origin)
				for range 2 {
					for _, path := range []string{"/a", "/dead", "/silent", "/large", "/again", "/stands-in", "/uncacheable"} {
						for _, method := range []string{"HEAD", "GET", "GET", "HEAD", "POST"} {
							s.ask(t, method, path)
						}
						s.ask(t, "GET", path, "Range", "bytes=0-9")
						s.ask(t, "GET", path, "If-None-Match", `"1"`)
						s.ask(t, "GET", path, "Cache-Control", "only-if-cached")
						s.ask(t, "GET", path, "Cache-Control", "no-store")
					}
					s.ask(t, "GET", "/upgrade", "Connection", "upgrade", "Upgrade", "test")
				}
				good := s.url
				s.url = "http://127.0.0.1:1" // nobody listens there
				if door == "transport" {
					s.ask(t, "GET", "/")
					s.ask(t, "DELETE", "/")
					s.ask(t, "GET", "/", "Connection", "upgrade", "Upgrade", "test")
				}
				s.url = good
				counted := s.check(t)
				require.EqualValues(t, 2, counted.Uncached["upgrade"])
				require.Positive(t, counted.Origin.Failed)
				require.Positive(t, counted.Origin.Again)
				require.Positive(t, counted.Origin.StoodIn)
				require.Positive(t, counted.Fills.Done["too-large"])
			})
		}
	}
}

func TestSumsAgreeWhenClientsLeave(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cached" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		for range 20 {
			if _, err := io.WriteString(w, strings.Repeat("x", 10_000)); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
			time.Sleep(time.Millisecond)
		}
	}
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			s := newSums(t, door, middleware.Config{}, origin)
			for n := range 40 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*time.Millisecond)
				r, err := http.NewRequestWithContext(ctx, "GET", s.url+[]string{"/cached", "/passed"}[n%2], nil)
				require.NoError(t, err)
				response, err := s.client.Do(r)
				if err == nil {
					_, _ = io.CopyN(io.Discard, response.Body, int64(n)*1000)
					response.Body.Close()
				}
				cancel()
				if n%10 == 9 {
					require.NoError(t, s.cache.PurgeAll(t.Context())) // the next one fetches again
				}
			}
			s.check(t)
		})
	}
}
