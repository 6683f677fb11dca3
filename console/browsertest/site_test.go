package browsertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/console"
	"github.com/cirquecache/cirque/middleware"
)

// site is a website with a cache in front, and a console about that, on two servers.
type site struct {
	t     *testing.T
	cache *middleware.Cache
	front *httptest.Server
	admin *httptest.Server
	url   string // of the console
}

// newSite starts the servers, until the test ends. The console is mounted below /cache/. An empty
// Config allows what comes from this machine.
func newSite(t *testing.T, cfg console.Config) *site {
	t.Helper()
	chromium(t)
	s := &site{t: t, cache: newCache(t, "Cirque")}
	s.front = httptest.NewServer(s.cache.Handler(http.HandlerFunc(answer)))
	t.Cleanup(s.front.Close)
	cfg.Caches = append([]*middleware.Cache{s.cache}, cfg.Caches...)
	if cfg.Token == "" {
		cfg.Authorize = console.Loopback
	}
	page, err := console.New(cfg)
	require.NoError(t, err)
	t.Cleanup(page.Close)
	mux := http.NewServeMux()
	mux.Handle("/cache/", page)
	s.admin = httptest.NewServer(mux)
	t.Cleanup(s.admin.Close)
	s.url = s.admin.URL + "/cache/"
	return s
}

func newCache(t *testing.T, name string) *middleware.Cache {
	cache, err := middleware.New(middleware.Config{Name: name, MaxBytes: 4 << 20})
	require.NoError(t, err)
	return cache
}

// answer is the origin.
func answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Cache-Groups", `"g"`)
	switch {
	case strings.HasPrefix(r.URL.Path, "/private"):
		w.Header().Set("Cache-Control", "private")
	case strings.HasPrefix(r.URL.Path, "/vary"):
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Content-Language", r.Header.Get("Accept-Language"))
	case strings.HasPrefix(r.URL.Path, "/missing"):
		w.WriteHeader(http.StatusNotFound)
	}
	_, _ = io.WriteString(w, strings.Repeat("hello ", 100))
}

// get asks for a page of the site, and returns what the cache says of it.
func (s *site) get(path string) string {
	s.t.Helper()
	response, err := http.Get(s.front.URL + path)
	require.NoError(s.t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(s.t, err)
	return response.Header.Get("Cache-Status")
}

// load asks for some pages again and again, until the test ends.
func (s *site) load(paths ...string) {
	stop, done := make(chan struct{}), make(chan struct{})
	s.t.Cleanup(func() {
		close(stop)
		<-done
	})
	go func() {
		defer close(done)
		for {
			for _, path := range paths {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if response, err := http.Get(s.front.URL + path); err == nil {
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}
		}
	}()
}
