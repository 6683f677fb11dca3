package frameworks

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
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

// newCache returns a cache that is closed at the end of t. If the cache logs anything, t fails.
func newCache(t *testing.T, cfg middleware.Config) *middleware.Cache {
	t.Helper()
	var said logged
	cfg.Logger = slog.New(slog.NewTextHandler(&said, nil))
	cache, err := middleware.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, cache.Close(ctx))
		require.Empty(t, said.String(), "the cache logged")
	})
	return cache
}

// logged collects what a logger writes.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

var quiet = log.New(io.Discard, "", 0)

// site is a server on loopback with a client.
type site struct {
	t      *testing.T
	url    string
	client *http.Client
}

// serve starts a server of h.
func serve(t *testing.T, h http.Handler) *site {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return &site{t, server.URL, server.Client()}
}

// answer is a response whose body was read.
type answer struct {
	status int
	header http.Header
	body   string
	cache  string // Cache-Status
}

// get sends a GET with the credentials of alice.
func (s *site) get(path string) answer { return s.as("alice", http.MethodGet, path) }

// as sends a request with the credentials of user.
func (s *site) as(user, method, path string) answer {
	s.t.Helper()
	return s.send(method, path, "Authorization", "Bearer "+user)
}

// send sends a request; header holds name, value pairs.
func (s *site) send(method, path string, header ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest(method, s.url+path, nil)
	require.NoError(s.t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := s.client.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return answer{response.StatusCode, response.Header, string(body), response.Header.Get("Cache-Status")}
}

// hit reports whether the answer came from the cache.
func hit(a answer) bool { return strings.Contains(a.cache, "; hit") }

type tenantKey struct{}

// around wraps next as applications do: with an access log, and with authentication that puts the
// tenant into the context.
func around(next http.Handler) (h http.Handler, seen *accessLog) {
	seen = new(accessLog)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add(r)
		user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		tenant := "tenant of " + user
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tenantKey{}, tenant)))
	}), seen
}

// accessLog counts the requests of clients and those of the cache.
type accessLog struct{ clients, refreshes atomic.Int32 }

func (l *accessLog) add(r *http.Request) {
	if middleware.IsRefresh(r.Context()) {
		l.refreshes.Add(1)
	} else {
		l.clients.Add(1)
	}
}

// check compares the counts with the expected ones.
func (l *accessLog) check(t *testing.T, clients, refreshes int32) {
	t.Helper()
	require.Equal(t, []int32{clients, refreshes}, []int32{l.clients.Load(), l.refreshes.Load()}, "requests of clients, and of the cache")
}

// items answers with the number of requests for an item. The first answer is stale at once, and may
// be served while it is revalidated.
type items struct {
	mu    sync.Mutex
	asked map[string]int
}

// write answers a request for the item whose id the router found in the path.
func (i *items) write(w http.ResponseWriter, r *http.Request, id string) {
	i.mu.Lock()
	if i.asked == nil {
		i.asked = make(map[string]int)
	}
	i.asked[id]++
	n := i.asked[id]
	i.mu.Unlock()
	w.Header().Set("Cache-Control", "public, max-age=100, stale-while-revalidate=100")
	if n == 1 {
		w.Header().Set("Age", "150")
	}
	fmt.Fprintf(w, "item %s, v%d, for %v", id, n, r.Context().Value(tenantKey{}))
}

// checkRefreshes requests the items at path+id three times, all items at once. The first answer is
// stored and stale, the second is the same while the cache refreshes it, and the third is new. Each
// must be the answer that a client's own request would get.
func checkRefreshes(t *testing.T, cache *middleware.Cache, s *site, path string, ids ...string) {
	t.Helper()
	for n, version := range []string{"v1", "v1", "v2"} {
		var all sync.WaitGroup
		for _, id := range ids {
			all.Go(func() {
				got := s.get(path + id)
				if want := fmt.Sprintf("item %s, %s, for tenant of alice", id, version); got.status != 200 || got.body != want {
					t.Errorf("request %d for %s got %d %q, not %q (%s)", n+1, path+id, got.status, got.body, want, got.cache)
				}
			})
		}
		all.Wait()
		require.NoError(t, cache.Wait(t.Context()))
	}
}

var large = bytes.Repeat([]byte("0123456789"), 1000)

// writeLarge sends a body that is too large for a cache with MaxObjectBytes of 1000.
func writeLarge(w http.ResponseWriter, r *http.Request, name string) {
	w.Header().Set("Cache-Control", "public, max-age=60")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(large))
}

// checkLargeRange requests a range of the body of writeLarge. The cache asks the handler for the
// whole body, finds that it is too large, and asks a second time for the range alone.
func checkLargeRange(t *testing.T, s *site, path string) {
	t.Helper()
	for range 2 {
		got := s.send(http.MethodGet, path, "Authorization", "Bearer alice", "Range", "bytes=5-9")
		require.Equal(t, http.StatusPartialContent, got.status, got.body)
		require.Equal(t, "56789", got.body)
	}
}
