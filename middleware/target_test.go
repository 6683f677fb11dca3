package middleware_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// countingHandler answers every GET with its name, a running number and the URL that it sees.
func countingHandler(name string) (handler http.Handler, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := asked.Add(1)
		if r.Method == http.MethodPost {
			w.Header().Set("Location", r.Header.Get("X-Location"))
			return
		}
		fresh(fmt.Sprintf("%s %d sees %s", name, n, r.URL))(w, r)
	}), asked
}

// A response is stored under what its client asked for, whatever the handlers around the cache make
// of the URL.
func TestHandlersWithOneCacheDoNotShareEntries(t *testing.T) {
	mounts := map[string]func(cache *middleware.Cache, docs, admin http.Handler) http.Handler{
		"StripPrefix": func(cache *middleware.Cache, docs, admin http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/docs/", http.StripPrefix("/docs", cache.Handler(docs)))
			mux.Handle("/admin/", http.StripPrefix("/admin", cache.Handler(admin)))
			return mux
		},
		"nested StripPrefix": func(cache *middleware.Cache, docs, admin http.Handler) http.Handler {
			inner := func(prefix string, h http.Handler) http.Handler {
				return http.StripPrefix(prefix[:2], http.StripPrefix(prefix[2:], cache.Handler(h)))
			}
			mux := http.NewServeMux()
			mux.Handle("/docs/", inner("/docs", docs))
			mux.Handle("/admin/", inner("/admin", admin))
			return mux
		},
		"patterns of a ServeMux": func(cache *middleware.Cache, docs, admin http.Handler) http.Handler {
			cut := func(h http.Handler) http.Handler {
				h = cache.Handler(h)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r2 := *r
					r2.URL = &url.URL{Path: "/" + r.PathValue("rest"), RawQuery: r.URL.RawQuery}
					h.ServeHTTP(w, &r2)
				})
			}
			mux := http.NewServeMux()
			mux.Handle("GET /docs/{rest...}", cut(docs))
			mux.Handle("GET /admin/{rest...}", cut(admin))
			return mux
		},
	}
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, proto string) {
				docs, _ := countingHandler("docs")
				admin, _ := countingHandler("admin")
				h := serveTLS(t, proto, mount(newCache(t, middleware.Config{}), docs, admin))
				for _, target := range []string{"index.html", "a%2Fb", "a/b", "index.html?x=1", "?", ""} {
					for _, path := range []string{"/docs/", "/admin/"} {
						require.Contains(t, h.getTwice(path+target), path[1:len(path)-1]+" ", path+target)
					}
				}
			})
		})
	}
}

// Under http.StripPrefix, an unsafe request invalidates what a GET for its public URL would find,
// and what its Location refers to, relative or not. The cache's own purges do so too, before the
// prefix is stripped and after.
func TestPublicURLIsInvalidatedAndPurged(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		docs, _ := countingHandler("docs")
		cache := newCache(t, middleware.Config{AuthorizePurge: always})
		cached := cache.Handler(docs)
		mux := http.NewServeMux()
		mux.Handle("/docs/", http.StripPrefix("/docs", cached))
		mux.HandleFunc("/purge/", func(w http.ResponseWriter, r *http.Request) {
			purge, err := http.NewRequest(http.MethodGet, "https://"+r.Host+strings.TrimPrefix(r.URL.Path, "/purge"), nil)
			if err == nil {
				err = cache.Purge(r.Context(), purge)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
		h := serveTLS(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Purge") == "outside" {
				cached.ServeHTTP(w, r) // the prefix is not stripped
				return
			}
			mux.ServeHTTP(w, r)
		}))
		for what, remove := range map[string]func(){
			"POST":                                func() { h.do(http.MethodPost, "/docs/a/b") },
			"relative Location":                   func() { h.do(http.MethodPost, "/docs/a/c", "X-Location", "b") },
			"Location's path":                     func() { h.do(http.MethodPost, "/docs/", "X-Location", "/docs/a/b") },
			"Location":                            func() { h.do(http.MethodPost, "/docs/", "X-Location", h.front.URL+"/docs/a/b") },
			"PURGE":                               func() { require.Equal(t, 200, h.do("PURGE", "/docs/a/b").StatusCode) },
			"PURGE before the prefix is stripped": func() { require.Equal(t, 200, h.do("PURGE", "/docs/a/b", "X-Purge", "outside").StatusCode) },
			"Purge of a client's request":         func() { require.Equal(t, 200, h.get("/purge/docs/a/b").StatusCode) },
		} {
			h.getTwice("/docs/a/b")
			remove()
			require.Contains(t, h.get("/docs/a/b").status(), "fwd=uri-miss", what)
			h.do("PURGE", "/docs/a/b")
		}
		h.getTwice("/docs/a/b")
		h.do(http.MethodPost, "/docs/x", "X-Location", "/a/b") // nothing is stored under this path
		require.Contains(t, h.get("/docs/a/b").status(), "; hit")
	})
}

// Two spellings of a path that a handler can tell apart are two resources.
func TestSpellingsOfAPathDoNotShareEntries(t *testing.T) {
	cached := newCache(t, middleware.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh(r.RequestURI)(w, r)
	}))
	front := httptest.NewServer(cached)
	defer front.Close()
	h := &harness{t: t, front: front}
	for range 2 {
		for _, target := range []string{"/{a%2Fb", "/{a/b", "/%7Ba/b", "/<b>", "/%3Cb%3E", "/#f", "/%23f", "/\xc3\xa9", "/%C3%A9"} {
			require.Equal(t, target, string(h.raw(faulty.Request{Target: target})[0].Body))
		}
	}
}

// A purge with a server's request goes by what its client asked for.
func TestPurgeWithAServersRequestGoesByItsPublicURL(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	var purged error
	h := serveTLS(t, "HTTP/1.1", http.StripPrefix("/docs", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			purged = cache.Purge(r.Context(), r)
			return
		}
		cache.Handler(fresh("docs")).ServeHTTP(w, r)
	})))
	h.getTwice("/docs/a")
	h.do(http.MethodDelete, "/docs/a")
	require.NoError(t, purged)
	require.NotContains(t, h.get("/docs/a").status(), "; hit")
	h.do(http.MethodDelete, "/docs/b")
	require.True(t, errors.Is(purged, cirque.ErrNotFound))
}

// Config.Key is called with what the client asked for. Its keys are protected like the default ones
// from a rewriting that mixes resources.
func TestKeyHookSeesWhatTheClientAskedFor(t *testing.T) {
	var seen atomic.Pointer[string]
	docs, _ := countingHandler("docs")
	admin, _ := countingHandler("admin")
	cache := newCache(t, middleware.Config{
		Key: func(r *http.Request) (string, bool) {
			seen.Store(new(fmt.Sprint(r.URL, " ", r.RequestURI)))
			return r.Host + r.URL.Path, true
		},
		AuthorizePurge: always,
	})
	mux := http.NewServeMux()
	mux.Handle("/docs/", http.StripPrefix("/docs", cache.Handler(docs)))
	mux.Handle("/admin/", http.StripPrefix("/admin", cache.Handler(admin)))
	h := serveTLS(t, "HTTP/1.1", mux)
	for _, method := range []string{http.MethodGet, http.MethodPost, "PURGE"} {
		h.do(method, "/docs/a?x")
		require.Equal(t, "/docs/a?x /docs/a?x", *seen.Load(), method)
	}
	require.Contains(t, h.getTwice("/docs/a?x"), "docs ")
	require.Contains(t, h.getTwice("/admin/a?x"), "admin ")
}

// A URL as net/http parses it from any request line is not taken for a rewritten one.
func TestUnchangedURLsAreNotTakenForRewritten(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	cached := cache.Handler(fresh("x"))
	for _, target := range []string{
		"/", "/a", "/a?", "/a??", "/a?x?", "/a?%zz", "/a%20b", "/a%2Fb", "/a%2fb", "/%7Ea", "/~a", "/{", "/{%2F", "/\xc3\xa9", "/%C3%A9", "/%25", "/%00",
		"//a", "///", "/a//b", "/./..", "/a:b", "/#", "/a;b,c", "/!$&'()*+,;=:@", "/[]", "*", "http:opaque", "http:/a",
		"http://a.test", "http://a.test?x", "http://A.test:80/%2F", "HTTP://a.test/", "http://a.test/x?", "http://[::1]:81/", "http://[fe80::1%25a]/",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: a.test\r\n\r\n")))
		require.NoError(t, err, target)
		w := httptest.NewRecorder()
		cached.ServeHTTP(w, r)
		require.Contains(t, w.Header().Get("Cache-Status"), "; stored", target)
		require.NoError(t, cache.Wait(t.Context()))
		key, ok := cache.HandlerKey(r)
		require.True(t, ok)
		meta, hit, err := cache.Options().Storage.Lookup(t.Context(), key)
		require.NoError(t, err, target)
		require.NoError(t, hit.Close())
		require.False(t, meta.Has(cirque.MetaVaryRecord), target)
		again, ok := middleware.DefaultKey(r)
		require.True(t, ok)
		require.Equal(t, again, key.Primary())
		require.NoError(t, cache.Purge(t.Context(), r), target)
	}
}

// The answer to a POST may be stored for later GETs if Content-Location names the public URL of the
// request (RFC 9110 §9.3.3).
func TestAnswerToAPostIsStoredUnderItsPublicURL(t *testing.T) {
	for location, stored := range map[string]bool{"/docs/a": true, "a": true, "/a": false} {
		cache := newCache(t, middleware.Config{PublicOrigin: "https://*"})
		app := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.Header().Set("Content-Location", location)
			}
			fresh(r.Method+" "+r.URL.Path)(w, r)
		}))
		front := httptest.NewServer(http.StripPrefix("/docs", app))
		h := &harness{t: t, front: front, client: front.Client()}
		require.Equal(t, "POST /a", h.do(http.MethodPost, "/docs/a").body)
		require.NoError(t, cache.Wait(t.Context()))
		want := "GET /a"
		if stored {
			want = "POST /a"
		}
		require.Equal(t, want, h.get("/docs/a").body, location)
		front.Close()
	}
}

// Under a stripped prefix, a stale entry is validated, also in the background, and parts are
// assembled.
func TestStaleAndPartialWorkUnderAStrippedPrefix(t *testing.T) {
	var asked atomic.Pointer[http.Request]
	cache := newCache(t, middleware.Config{Ranges: middleware.RangesForward})
	app := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r)
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
		if r.URL.Path == "/stale" && r.Header.Get("If-None-Match") == "" {
			aged(w, 100*time.Second)
		}
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(numbers))
	}))
	h := serveTLS(t, "HTTP/1.1", http.StripPrefix("/docs", app))
	h.get("/docs/stale")
	require.Contains(t, h.get("/docs/stale").status(), "ttl=-")
	require.NoError(t, cache.Wait(t.Context()))
	require.Equal(t, `"e"`, asked.Load().Header.Get("If-None-Match"))
	require.Equal(t, "/stale", asked.Load().URL.Path)
	require.Contains(t, h.get("/docs/stale").status(), "; hit; ttl=5")

	h.get("/docs/part", "Range", "bytes=0-3")
	require.NoError(t, cache.Wait(t.Context()))
	require.Equal(t, numbers[2:10], h.get("/docs/part", "Range", "bytes=2-9").body)
	require.Equal(t, "bytes=4-9", asked.Load().Header.Get("Range"))
	require.NoError(t, cache.Wait(t.Context()))
	require.Contains(t, h.get("/docs/part", "Range", "bytes=1-8").status(), "; hit")
}
