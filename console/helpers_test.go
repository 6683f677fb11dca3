package console

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

const secret = "correct horse battery staple"

// site is a cache in front of a small origin, and a console about it.
type site struct {
	t       *testing.T
	cache   *middleware.Cache
	handler http.Handler
	console *Console
}

// newSite makes a site. An empty Config allows everybody.
func newSite(t *testing.T, cfg Config) *site {
	t.Helper()
	faulty.CheckGoroutines(t)
	return newSiteIn(t, cfg)
}

// newSiteIn is newSite without the check of goroutines, for a test in a bubble.
func newSiteIn(t *testing.T, cfg Config) *site {
	t.Helper()
	cache, err := middleware.New(middleware.Config{MaxBytes: 1 << 20})
	require.NoError(t, err)
	s := &site{t: t, cache: cache}
	s.handler = cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Cache-Groups", `"g"`)
		switch r.URL.Path {
		case "/private":
			w.Header().Set("Cache-Control", "private")
		case "/missing":
			w.WriteHeader(http.StatusNotFound)
		}
		io.WriteString(w, "hello")
	}))
	if cfg.Caches == nil {
		cfg.Caches = []*middleware.Cache{cache}
	}
	if cfg.Authorize == nil && cfg.Token == "" {
		cfg.Authorize = func(*http.Request) bool { return true }
	}
	s.console, err = New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		s.console.Close()
		require.NoError(t, cache.Close(context.Background()))
	})
	return s
}

// serve serves the console until the test ends.
func (s *site) serve() *httptest.Server {
	server := httptest.NewServer(s.console)
	s.t.Cleanup(server.Close)
	return server
}

// get asks the cache for a URL of the site, and returns what the cache says of it.
func (s *site) get(path string) string {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, httptest.NewRequest("GET", "http://site.example"+path, nil))
	return w.Header().Get("Cache-Status")
}

// ask asks the console. Fields are "Name: value".
func (s *site) ask(method, path, body string, fields ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://console.example/admin/"+path, strings.NewReader(body))
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	s.console.ServeHTTP(w, r)
	return w
}

// post sends what the page sends.
func (s *site) post(path, body string, fields ...string) *httptest.ResponseRecorder {
	return s.ask("POST", path, body, append(fields, csrfField+": "+s.console.secrets.csrf)...)
}

// paths are all that the console answers.
var paths = []string{"", "events", "stats.json", "purge", "explain", "logout", "nonesuch"}

func ExampleNew() {
	cache, err := middleware.New(middleware.Config{})
	if err != nil {
		panic(err)
	}
	page, err := New(Config{Caches: []*middleware.Cache{cache}, Authorize: Loopback})
	if err != nil {
		panic(err)
	}
	defer page.Close()
	admin := http.NewServeMux()
	admin.Handle("/cache/", page)

	r := httptest.NewRequest("GET", "http://localhost/cache/", nil)
	for _, r.RemoteAddr = range []string{"127.0.0.1:1234", "192.0.2.1:1234"} {
		w := httptest.NewRecorder()
		admin.ServeHTTP(w, r)
		fmt.Println(r.RemoteAddr, w.Code)
	}
	// Output:
	// 127.0.0.1:1234 200
	// 192.0.2.1:1234 403
}
