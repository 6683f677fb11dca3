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

type userKey struct{}

// staleFirst answers what say says and counts its answers. The first one is stale at once, and may
// be served while it is revalidated.
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

// authenticated lets those in who say who they are, and puts that into the context.
func authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
	})
}

// A background revalidation goes through all that a request goes through, so that its answer is
// what a request would get: authentication, values of the context, rewritten URLs, and the router's
// patterns.
func TestRefreshGoesThroughTheWholeChain(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	page := &staleFirst{say: func(r *http.Request) string {
		return fmt.Sprint(r.Method, " ", r.URL, " ", r.PathValue("id"), " ", r.Context().Value(userKey{}), " ", r.Header.Get("X-Trace"))
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
	front := httptest.NewServer(logged)
	defer front.Close()
	h := &house{t: t, front: front, client: front.Client()}
	for _, version := range []string{"v1", "v1", "v2"} {
		r := h.get("/shop/item/7?q=1", "Authorization", "Bearer alice", "If-None-Match", `"x"`)
		require.Equal(t, version+" GET /item/7?q=1 7 alice traced", r.body, r.status())
		require.NoError(t, cache.Wait(t.Context()))
	}
	require.EqualValues(t, 3, seen[0].Load())
	require.EqualValues(t, 1, seen[1].Load())
	require.EqualValues(t, 2, page.asked.Load())
}

// Where the handler of the server is not known there is no background revalidation: what a request
// would get cannot be told. The client waits, but for one who rather has what is stale.
func TestNoRefreshWithoutSurroundings(t *testing.T) {
	var said strings.Builder
	logger := slog.New(slog.NewTextHandler(&said, nil))
	for name, cfg := range map[string]middleware.Config{
		"no server":       {Logger: logger},
		"Refresh says so": {Refresh: func(*http.Request) http.Handler { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			cache, err := middleware.New(cfg)
			require.NoError(t, err)
			page := &staleFirst{say: func(r *http.Request) string { return r.URL.Path }}
			door := cache.Handler(page)
			get := func(method string, header ...string) *httptest.ResponseRecorder {
				w, r := httptest.NewRecorder(), httptest.NewRequest(method, "/a", nil)
				for i := 0; i < len(header); i += 2 {
					r.Header.Set(header[i], header[i+1])
				}
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
	require.Equal(t, 1, strings.Count(said.String(), "no background revalidation"), "once, not per request: %s", &said)
}

// An error of the origin is still stood in for.
func TestStaleIfErrorWithoutSurroundings(t *testing.T) {
	cache, err := middleware.New(middleware.Config{StaleIfError: time.Hour})
	require.NoError(t, err)
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

// Values that the server itself adds to contexts would be missing, unless BackgroundContext has
// them.
func TestRefreshNeedsTheServersContext(t *testing.T) {
	for _, given := range []bool{false, true} {
		cfg := middleware.Config{}
		if given {
			cfg.BackgroundContext = func(r *http.Request) context.Context {
				return context.WithValue(context.Background(), ctxKey{}, r.Context().Value(ctxKey{}))
			}
		}
		cache, err := middleware.New(cfg)
		require.NoError(t, err)
		page := &staleFirst{say: func(r *http.Request) string { return fmt.Sprint(r.Context().Value(ctxKey{})) }}
		front := httptest.NewUnstartedServer(cache.Handler(page))
		front.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, ctxKey{}, "database")
		}
		front.Start()
		h := &house{t: t, front: front, client: front.Client()}
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

// logText is what a logger wrote.
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

// A refresh that does not come to its door stores nothing, holds nothing, and leaves the validation
// to the next client.
func TestRefreshThatIsTurnedAway(t *testing.T) {
	for name, turn := range map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request){
		"refused": func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
		"redirect": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/login", http.StatusFound)
		},
		"elsewhere": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			r.RequestURI, r.URL.Path = "/other", "/other"
			next.ServeHTTP(w, r)
		},
		"panics":  func(http.Handler, http.ResponseWriter, *http.Request) { panic("broken middleware") },
		"aborted": func(http.Handler, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		t.Run(name, func(t *testing.T) {
			var said logText
			cache, err := middleware.New(middleware.Config{
				MaxRevalidations: 1, LockAge: time.Hour, LockWait: time.Hour,
				Logger: slog.New(slog.NewTextHandler(&said, nil)),
			})
			require.NoError(t, err)
			page := &staleFirst{say: func(r *http.Request) string { return r.URL.Path }}
			inner := cache.Handler(page)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if middleware.IsRefresh(r.Context()) {
					turn(inner, w, r)
					return
				}
				inner.ServeHTTP(w, r)
			}))
			defer front.Close()
			h := &house{t: t, front: front, client: front.Client()}
			require.Equal(t, "v1 /", h.get("/").body)
			require.Equal(t, "v1 /", h.get("/").body)
			require.NoError(t, cache.Wait(t.Context()))
			r := h.get("/")
			require.Equal(t, map[bool]int32{false: 2, true: 3}[name == "elsewhere"], page.asked.Load())
			require.Contains(t, r.status(), "fwd=stale; fwd-status=200; stored", r.body)
			require.Contains(t, h.get("/").status(), "; hit")
			if name == "panics" {
				eventually(t, func() bool { return strings.Contains(said.String(), "broken middleware") }, "it is reported")
			} else {
				require.Empty(t, said.String())
			}
			require.NotContains(t, h.get("/other").status(), "; hit", "what was answered on the way is not stored")
		})
	}
}

// Caches in one another: each is refreshed by a request that goes past the others on the way to it,
// and a refresh does not set off another.
func TestRefreshThroughOtherCaches(t *testing.T) {
	outer, err := middleware.New(middleware.Config{Name: "outer"})
	require.NoError(t, err)
	inner, err := middleware.New(middleware.Config{Name: "inner"})
	require.NoError(t, err)
	var asked, refreshes atomic.Int32
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			refreshes.Add(1)
		}
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=1000")
		fmt.Fprint(w, "v", asked.Add(1))
	})
	front := httptest.NewServer(outer.Handler(inner.Handler(page)))
	defer front.Close()
	h := &house{t: t, front: front, client: front.Client()}
	settled := func() {
		for _, c := range []*middleware.Cache{outer, inner, outer} {
			require.NoError(t, c.Wait(t.Context()))
		}
	}
	require.Equal(t, "v1", h.get("/").body)
	time.Sleep(2100 * time.Millisecond) // both are stale
	require.Equal(t, "v1", h.get("/").body)
	settled()
	require.EqualValues(t, 2, asked.Load())
	require.EqualValues(t, 1, refreshes.Load(), "the inner one validated what the outer one asked it for")
	r := h.get("/")
	require.Equal(t, "v2", r.body)
	require.Contains(t, strings.Join(r.Header.Values("Cache-Status"), ","), "outer; hit")

	// The inner one alone: its own refresh passes the outer one by.
	require.NoError(t, outer.PurgeAll(t.Context()))
	time.Sleep(2100 * time.Millisecond)
	require.Equal(t, "v2", h.get("/").body)
	settled()
	require.EqualValues(t, 3, asked.Load())
	require.NoError(t, outer.PurgeAll(t.Context()))
	require.Equal(t, "v3", h.get("/").body)
}

// A chain that hangs on the way to the door holds neither the key nor Close up, whether it heeds
// its context or not.
func TestRefreshThatHangsOnItsWay(t *testing.T) {
	for _, heeds := range []bool{false, true} {
		t.Run(fmt.Sprint("heeds its context ", heeds), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var front http.Handler
				cache, err := middleware.New(middleware.Config{
					FillIdle: 30 * time.Second, LockAge: time.Hour, MaxRevalidations: 2,
					Refresh: func(*http.Request) http.Handler { return front },
				})
				require.NoError(t, err)
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
				require.Equal(t, "v2 page", get(), "the next one validates by itself")

				time.Sleep(101 * time.Second) // stale again
				require.Equal(t, "v2 page", get())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				require.ErrorIs(t, cache.Close(ctx), context.DeadlineExceeded)
				close(free)
				synctest.Wait()
				require.EqualValues(t, 2, page.asked.Load(), "what comes late is nobody's")
			})
		})
	}
}

// Routers use what they put into contexts again: nothing of a client's request may be touched once
// it is over.
func TestRefreshTouchesNothingOfItsClient(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	var asked sync.Map
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := *r.Context().Value(userKey{}).(*string)
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
		inner.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, id)))
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

// Where the first answer is of no use, and the origin is asked once more, that is a request of its
// own, too: the state of a router has moved on with the first. Here the range of what is too large
// to be stored.
func TestSecondAskingGoesThroughTheWholeChain(t *testing.T) {
	large := strings.Repeat("0123456789", 1000)
	for name, around := range map[string]func(http.Handler) http.Handler{
		"nothing around": func(h http.Handler) http.Handler { return h },
		"a timeout":      func(h http.Handler) http.Handler { return http.TimeoutHandler(h, time.Minute, "too late") },
		"refused": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if middleware.IsRefresh(r.Context()) {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				h.ServeHTTP(w, r)
			})
		},
		"one at a time": func(h http.Handler) http.Handler {
			free := make(chan struct{}, 1)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case free <- struct{}{}:
				case <-r.Context().Done():
					return
				}
				defer func() { <-free }()
				h.ServeHTTP(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache, err := middleware.New(middleware.Config{MaxObjectBytes: 1000, LockWait: 100 * time.Millisecond})
			require.NoError(t, err)
			var asked atomic.Int32
			moved := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				// The state of a router, which each use changes.
				state := r.Context().Value(userKey{}).(*int)
				if *state++; *state > 1 && name != "refused" && name != "one at a time" {
					t.Error("asked in a state that has moved on")
				}
				w.Header().Set("Cache-Control", "max-age=60")
				http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(large))
			}))
			front := httptest.NewServer(around(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				moved.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, new(int))))
			})))
			defer front.Close()
			h := &house{t: t, front: front, client: front.Client()}
			r := h.get("/", "Range", "bytes=5-9")
			require.Equal(t, http.StatusPartialContent, r.StatusCode)
			require.Equal(t, "56789", r.body)
			require.EqualValues(t, 2, asked.Load())
			require.NoError(t, cache.Close(t.Context()))
		})
	}
}

// A panic on the way of the second asking is the client's, whoever around the cache recovers it.
func TestPanicInASecondAsking(t *testing.T) {
	cache, err := middleware.New(middleware.Config{MaxObjectBytes: 1000})
	require.NoError(t, err)
	inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			panic("broken")
		}
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10000")
		io.WriteString(w, "0123456789")
	}))
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			defer func() { _ = recover() }()
		}
		inner.ServeHTTP(w, r)
	}))
	front.Config.ErrorLog = quiet
	front.Start()
	defer front.Close()
	h := &house{t: t, front: front, client: front.Client()}
	require.Error(t, h.try("GET", "/", "Range", "bytes=5-9").err)
	require.NoError(t, cache.Close(t.Context()))
}

// What a handler sets about its client's connection cannot fail in a background revalidation, which
// has none: a handler that gives up where it fails would answer an error.
func TestRefreshHasDeadlinesToSet(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	page := &staleFirst{say: func(*http.Request) string { return "page" }}
	front := httptest.NewServer(cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	defer front.Close()
	h := &house{t: t, front: front, client: front.Client()}
	for _, version := range []string{"v1", "v1", "v2"} {
		r := h.get("/")
		require.Equal(t, version+" page", r.body, r.status())
		require.NoError(t, cache.Wait(t.Context()))
	}
}
