package middleware_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// staleFirst answers with the text of say and counts its answers. The first answer is stale at once
// and may be served while it is revalidated.
type staleFirst struct {
	say   func(r *http.Request) string
	asked atomic.Int32
}

func (s *staleFirst) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.asked.Add(1)
	w.Header().Set("Cache-Control", "public, max-age=100, stale-while-revalidate=100")
	if n == 1 {
		aged(w, 150*time.Second)
	}
	fmt.Fprintf(w, "v%d %s", n, s.say(r))
}

// authenticated lets in requests with a bearer token and puts the user into the context.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, user)))
	})
}

// A background revalidation goes through everything that a request goes through, so that its answer
// is what a request would get: authentication, context values, rewritten URLs and the router's
// patterns.
func TestRefreshGoesThroughAllHandlers(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	page := &staleFirst{say: func(r *http.Request) string {
		return fmt.Sprint(r.Method, " ", r.URL, " ", r.PathValue("id"), " ", r.Context().Value(contextKey{}), " ", r.Header.Get("X-Trace"))
	}}
	mux := http.NewServeMux()
	mux.Handle("GET /item/{id}", cache.Handler(page))
	var seen [2]atomic.Int32
	logged := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			seen[1].Add(1)
		} else {
			seen[0].Add(1)
		}
		r.Header.Set("X-Trace", "traced")
		authenticated(http.StripPrefix("/shop", mux)).ServeHTTP(w, r)
	})
	h := serve(t, logged)
	for _, version := range []string{"v1", "v1", "v2"} {
		r := h.get("/shop/item/7?q=1", "Authorization", "Bearer alice", "If-None-Match", `"x"`)
		require.Equal(t, version+" GET /item/7?q=1 7 alice traced", r.body, r.status())
		require.NoError(t, cache.Wait(t.Context()))
	}
	require.EqualValues(t, 3, seen[0].Load())
	require.EqualValues(t, 1, seen[1].Load())
	require.EqualValues(t, 2, page.asked.Load())
}

// If the server's handler is not known, there is no background revalidation, as its answer could
// differ from what a request gets. The client waits, unless it prefers a stale response.
func TestNoRefreshWithoutTheServersHandler(t *testing.T) {
	var said strings.Builder
	logger := slog.New(slog.NewTextHandler(&said, nil))
	for name, cfg := range map[string]middleware.Config{
		"no server":           {Logger: logger},
		"Refresh returns nil": {Refresh: func(*http.Request) http.Handler { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, cfg)
			page := &staleFirst{say: func(r *http.Request) string { return r.URL.Path }}
			door := cache.Handler(page)
			get := func(method string, header ...string) *httptest.ResponseRecorder {
				w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/a", nil)
				addFields(r.Header, header)
				door.ServeHTTP(w, r)
				require.NoError(t, cache.Wait(t.Context()))
				return w
			}
			require.Equal(t, "v1 /a", get("GET").Body.String())
			for _, directive := range []string{"only-if-cached", "max-stale", "max-stale=1000"} {
				require.Equal(t, "v1 /a", get("GET", "Cache-Control", directive).Body.String(), directive)
			}
			w := get("GET")
			require.Equal(t, "v2 /a", w.Body.String())
			require.Contains(t, w.Header().Get("Cache-Status"), "fwd=stale; fwd-status=200; stored")
			require.Contains(t, get("GET").Header().Get("Cache-Status"), "; hit")
			require.EqualValues(t, 2, page.asked.Load())
		})
	}
	require.Equal(t, 1, strings.Count(said.String(), "no background revalidation"), "the warning must be logged once, not per request: %s", &said)
}

// A stale response still stands in for an error of the origin.
func TestStaleIfErrorWorksWithoutTheServersHandler(t *testing.T) {
	cache := newCache(t, middleware.Config{StaleIfError: time.Hour})
	var down bool
	page := &staleFirst{say: func(*http.Request) string { return "page" }}
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		page.ServeHTTP(w, r)
	}))
	for range 2 {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		require.Equal(t, "v1 page", w.Body.String())
		down = true
	}
}

// If the server itself adds context values, there is no background revalidation, as it would lack
// them, unless BackgroundContext supplies them.
func TestNoRefreshWithoutTheServersContextValues(t *testing.T) {
	for _, given := range []bool{false, true} {
		cfg := middleware.Config{}
		if given {
			cfg.BackgroundContext = func(r *http.Request) context.Context {
				return context.WithValue(context.Background(), contextKey{}, r.Context().Value(contextKey{}))
			}
		}
		cache := newCache(t, cfg)
		page := &staleFirst{say: func(r *http.Request) string { return fmt.Sprint(r.Context().Value(contextKey{})) }}
		front := httptest.NewUnstartedServer(cache.Handler(page))
		front.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, contextKey{}, "database")
		}
		front.Start()
		h := &harness{t: t, front: front, client: front.Client()}
		want := []string{"v1 database", "v2 database", "v2 database"}
		if given {
			want[1] = "v1 database"
		}
		for _, body := range want {
			require.Equal(t, body, h.get("/").body)
			require.NoError(t, cache.Wait(t.Context()))
		}
		front.Close()
	}
}

// logText holds what a logger wrote.
type logText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// A revalidation that does not reach its door stores nothing, holds nothing, and leaves the
// validation to the next client.
func TestRefreshThatIsTurnedAwayStoresNothing(t *testing.T) {
	for name, turn := range map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request){
		"refused": func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"redirect": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"sent elsewhere": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			r.RequestURI, r.URL.Path = "/other", "/other"
			next.ServeHTTP(w, r)
		},
		"panics":  func(http.Handler, http.ResponseWriter, *http.Request) { panic("broken middleware") },
		"aborted": func(http.Handler, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var said logText
			cache := newCache(t, middleware.Config{
				MaxRevalidations: 1, LockAge: time.Hour, LockWait: time.Hour,
				Logger: slog.New(slog.NewTextHandler(&said, nil)),
			})
			page := &staleFirst{say: func(r *http.Request) string { return r.URL.Path }}
			inner := cache.Handler(page)
			h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if middleware.IsRefresh(r.Context()) {
					turn(inner, w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			require.Equal(t, "v1 /", h.get("/").body)
			require.Equal(t, "v1 /", h.get("/").body)
			require.NoError(t, cache.Wait(t.Context()))
			r := h.get("/")
			require.Equal(t, map[bool]int32{false: 2, true: 3}[name == "sent elsewhere"], page.asked.Load())
			require.Contains(t, r.status(), "fwd=stale; fwd-status=200; stored", r.body)
			require.Contains(t, h.get("/").status(), "; hit")
			if name == "panics" {
				eventually(t, func() bool { return strings.Contains(said.String(), "broken middleware") }, "the panic is logged")
			} else {
				require.Empty(t, said.String())
			}
			require.NotContains(t, h.get("/other").status(), "; hit", "an answer given on the way must not be stored")
		})
	}
}

// A refresh that hangs before it reaches the door holds neither the key nor Close, whether or not
// the handler heeds its context.
func TestRefreshThatHangsHoldsNeitherKeyNorClose(t *testing.T) {
	for _, heeds := range []bool{false, true} {
		t.Run(fmt.Sprint("heeds its context ", heeds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var front http.Handler
				cache := newCache(t, middleware.Config{
					FillIdle: 30 * time.Second, LockAge: time.Hour, MaxRevalidations: 2,
					Refresh: func(*http.Request) http.Handler { return front },
				})
				page := &staleFirst{say: func(*http.Request) string { return "page" }}
				inner := cache.Handler(page)
				free := make(chan struct{})
				front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if middleware.IsRefresh(r.Context()) {
						done := r.Context().Done()
						if !heeds {
							done = nil
						}
						select {
						case <-free:
						case <-done:
						}
					}
					inner.ServeHTTP(w, r)
				})
				get := func() string {
					w := httptest.NewRecorder()
					front.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
					return w.Body.String()
				}
				require.Equal(t, "v1 page", get())
				require.Equal(t, "v1 page", get())
				start := time.Now()
				require.NoError(t, cache.Wait(t.Context()))
				require.Equal(t, 30*time.Second, time.Since(start))
				require.Equal(t, "v2 page", get(), "the next request must validate by itself")

				time.Sleep(101 * time.Second) // stale again
				require.Equal(t, "v2 page", get())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.ErrorIs(t, cache.Close(ctx), context.DeadlineExceeded)
				close(free)
				synctest.Wait()
				require.EqualValues(t, 2, page.asked.Load(), "a refresh that comes too late must not reach the handler")
			})
		})
	}
}

// Routers reuse what they put into contexts. A refresh uses nothing of a client's request after
// that request is over.
func TestRefreshUsesNothingOfAFinishedRequest(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	var asked sync.Map
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := *r.Context().Value(contextKey{}).(*string)
		n, _ := asked.LoadOrStore(id, new(atomic.Int32))
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=1000")
		aged(w, time.Minute)
		fmt.Fprintf(w, "%s v%d", id, n.(*atomic.Int32).Add(1))
	})
	inner, pool := cache.Handler(page), sync.Pool{New: func() any { return new(string) }}
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := pool.Get().(*string)
		defer pool.Put(id)
		*id = r.URL.Path
		defer func() { *id = "recycled" }()
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), contextKey{}, id)))
	}))
	defer front.Close()
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for i := range 50 {
				path := fmt.Sprintf("/%d", i%7)
				response, err := front.Client().Get(front.URL + path)
				if err != nil {
					t.Error(err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if !strings.HasPrefix(string(body), path+" v") {
					t.Errorf("%s got %q", path, body)
				}
			}
		})
	}
	clients.Wait()
	require.NoError(t, cache.Close(t.Context()))
}

// A background revalidation has no client connection. Deadlines can be set on it all the same, as
// some handlers answer an error if that fails.
func TestRefreshAcceptsDeadlines(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	page := &staleFirst{say: func(*http.Request) string { return "page" }}
	h := serve(t, cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		for _, err := range []error{
			control.SetWriteDeadline(time.Now().Add(time.Minute)), control.SetReadDeadline(time.Now().Add(time.Minute)), control.EnableFullDuplex(),
		} {
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		page.ServeHTTP(w, r)
	})))
	for _, version := range []string{"v1", "v1", "v2"} {
		r := h.get("/")
		require.Equal(t, version+" page", r.body, r.status())
		require.NoError(t, cache.Wait(t.Context()))
	}
}
