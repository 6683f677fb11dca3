package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// The handler behind the cache sees the scheme and the user of an absolute form, which any client
// can choose. It also sees the scheme that a handler around the cache has set.
func TestSchemesAndUsersOfURLsAreKeptApart(t *testing.T) {
	cached := newCache(t, middleware.Config{}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh(fmt.Sprintf("%s %s", r.URL.Scheme, r.URL.User))(w, r)
	}))
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if scheme := r.Header.Get("X-Scheme"); scheme != "" {
			r.URL.Scheme = scheme // in place, as some handlers do
		}
		cached.ServeHTTP(w, r)
	}))
	defer front.Close()
	h := &harness{t: t, front: front}
	host := front.Listener.Addr().String() + "/b"
	for range 2 {
		for _, scheme := range []string{"http", "https", ""} {
			var header []string
			if scheme != "" {
				header = []string{"X-Scheme: " + scheme}
			}
			answer := h.raw(faulty.Request{Target: "/a", Fields: header})
			require.Equal(t, scheme+" ", string(answer[0].Body))
		}
		for target, want := range map[string]string{
			"/b": " ", "https://" + host: "https ", "http://u@" + host: "http u", "http://u:p@" + host: "http u:p",
		} {
			answer := h.raw(faulty.Request{Target: target})
			require.Equal(t, want, string(answer[0].Body))
			if want != " " {
				require.Contains(t, answer[0].Header.Get("Cache-Status"), "fwd=bypass; detail=key", "clients must not be able to create variants")
			}
		}
	}
}

// A Config.Key that leaves out the query or the Host does so under a stripped prefix too.
func TestKeyHookWorksUnderAStrippedPrefix(t *testing.T) {
	cache := newCache(t, middleware.Config{Key: func(r *http.Request) (string, bool) { return r.URL.Path, true }})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh(r.Host+" "+r.URL.RawQuery)(w, r)
	}))
	h := serveTLS(t, "HTTP/1.1", http.StripPrefix("/docs", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if query := r.Header.Get("X-Query"); query != "" {
			r.URL.RawQuery = strings.Trim(query, "-")
		}
		cached.ServeHTTP(w, r)
	})))
	h.getTwice("/docs/a?x=1", "Host", "a.test")
	for _, target := range []string{"/docs/a?x=2", "/docs/a", "/docs/a?"} {
		require.Equal(t, "a.test x=1", h.get(target, "Host", "b.test").body)
	}
	for range 2 {
		// Queries that the handler around the cache has set.
		for _, query := range []string{"y=1", "y=2", "-"} {
			got := h.get("/docs/a?x=1", "Host", "a.test", "X-Query", query)
			require.Equal(t, "a.test "+strings.Trim(query, "-"), got.body)
		}
	}
}

// A handler around the cache may rewrite by the Host, and replace the Host. A request of the
// cache's own lacks the client's Host, so it would be rewritten for another tenant. Its answer is
// not used, and the entry is validated by clients.
func TestAnswersForAnotherTenantAreNotUsed(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"1"`)
		switch {
		case r.Header.Get("If-None-Match") == "":
			w.Header().Set("Cache-Control", "max-age=60, stale-while-revalidate=600")
			aged(w, 100*time.Second)
		case strings.HasSuffix(r.URL.Path, "/other"):
			w.Header().Set("Etag", `"2"`) // not the tag that was sent, so the cache asks again
			w.WriteHeader(http.StatusNotModified)
			return
		default:
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, r.URL.Path)
	}))
	h := serveTLS(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tenant, known := strings.CutSuffix(r.Host, ".test")
		if !known {
			tenant = "default"
		}
		r.URL.Path, r.Host = "/"+tenant+r.URL.Path, "inner"
		cached.ServeHTTP(w, r)
	}))
	for _, tenant := range []string{"a", "b"} {
		for range 2 {
			got := h.get("/other", "Host", tenant+".test", "Cache-Control", "no-cache")
			require.Equal(t, "/"+tenant+"/other", got.body)
			require.NoError(t, cache.Wait(t.Context()))
		}
		var last reply
		for range 4 {
			last = h.get("/page", "Host", tenant+".test")
			require.Equal(t, "/"+tenant+"/page", last.body)
			require.NoError(t, cache.Wait(t.Context()))
		}
		require.Contains(t, last.status(), "; hit; ttl=5", "the entry must be fresh")
	}
}

// Some frameworks serve the target that X-Original-URL or X-Rewrite-URL names, which is in no key.
// Such requests pass, unless the owner removes the field with Normalize.
func TestRequestsThatNameAnotherTargetBypassTheCache(t *testing.T) {
	for _, name := range []string{"X-Original-URL", "x-rewrite-url"} {
		origin := func(w http.ResponseWriter, r *http.Request) {
			if target := r.Header.Get(name); target != "" {
				r.URL.Path = target
			}
			fresh(r.URL.Path)(w, r)
		}
		eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
			require.Equal(t, "/admin", h.get("/a", name, "/admin").body)
			require.Equal(t, "/a", h.getTwice("/a"))
			got := h.get("/a", name, "/admin")
			require.Equal(t, "/admin", got.body)
			require.Contains(t, got.status(), "fwd=bypass; detail=target-override")
			require.Contains(t, h.get("/a").status(), "; hit")
		})
		none := func([]string) string { return "" }
		normalized := middleware.Config{Normalize: map[string]func([]string) string{name: none}}
		eachDoor(t, normalized, origin, func(t *testing.T, h *harness) {
			require.Equal(t, "/a", h.getTwice("/a", name, "/a"))
		})
	}
}

// A handler around the cache may rewrite one public URL to a page of each tenant. Tenants never get
// each other's pages, nor do they displace them. A purge of the public URL removes all.
func TestTenantsOfOneURLDoNotShareEntries(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		app, asked := countingHandler("app")
		cache := newCache(t, middleware.Config{AuthorizePurge: always})
		cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`) // the first version of every tenant
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			app.ServeHTTP(w, r)
		}))
		h := serveTLS(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if tenant := r.Header.Get("X-Tenant"); tenant != "" {
				r2 := *r
				r2.URL = &url.URL{Path: "/" + tenant + r.URL.Path, RawQuery: r.URL.RawQuery}
				r = &r2
			}
			cached.ServeHTTP(w, r)
		}))
		for range 3 {
			asked.Store(0)
			for i, tenant := range []string{"a", "", "b", "c"} {
				prefix := tenant
				if prefix != "" {
					prefix = "/" + prefix
				}
				require.Equal(t, fmt.Sprintf("app %d sees %s/page?x", i+1, prefix), h.getTwice("/page?x", "X-Tenant", tenant))
			}
			for _, tenant := range []string{"", "c", "b", "", "a"} {
				require.Contains(t, h.get("/page?x", "X-Tenant", tenant).status(), "; hit", "no tenant's page may displace another's")
			}
			require.EqualValues(t, 4, asked.Load())
			// A page that must be validated is validated against the tenant's own stored page.
			for _, tenant := range []string{"a", "b", ""} {
				got := h.get("/page?x", "X-Tenant", tenant, "Cache-Control", "no-cache")
				require.Contains(t, got.body, strings.TrimSuffix("/"+tenant, "/")+"/page")
			}
			require.Equal(t, 200, h.do("PURGE", "/page?x").StatusCode)
			for _, tenant := range []string{"a", "", "b", "c"} {
				require.NotContains(t, h.get("/page?x", "X-Tenant", tenant).status(), "; hit")
			}
			require.Equal(t, 200, h.do("PURGE", "/page?x").StatusCode)
		}
	})
}

// Two tenants may use the same entity tag. One tenant's tag is not sent for another.
func TestTenantsDoNotValidateEachOther(t *testing.T) {
	var sent atomic.Pointer[[]string]
	cache := newCache(t, middleware.Config{})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tags := r.Header["If-None-Match"]
		sent.Store(&tags)
		w.Header().Set("Etag", `"1"`)
		if strings.HasSuffix(r.URL.Path, "/varies") {
			w.Header().Set("Vary", "X-V")
		}
		if len(tags) > 0 {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fresh("for "+r.URL.Path)(w, r)
	}))
	h := serveTLS(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tenant := r.Header.Get("X-Tenant"); tenant != "" {
			r.URL.Path = "/" + tenant + r.URL.Path
		}
		cached.ServeHTTP(w, r)
	}))
	for _, path := range []string{"/", "/varies"} {
		for _, tenants := range [][]string{{"a", "", "b"}, {"", "a"}, {"", ""}} {
			for i, tenant := range tenants {
				got := h.get(path, "X-Tenant", tenant, "X-V", fmt.Sprint(i))
				require.Equal(t, "for "+strings.TrimSuffix("/"+tenant, "/")+path, got.body)
				switch {
				case strings.Contains(got.status(), "; hit"):
				case i == 1 && tenants[0] == tenant:
					require.Equal(t, []string{`"1"`}, *sent.Load(), "tags of other variants of the same resource must be sent")
				default:
					require.Empty(t, *sent.Load(), "%s %q of %q", path, tenant, tenants)
				}
			}
			r, err := http.NewRequest(http.MethodGet, h.front.URL+path, nil)
			require.NoError(t, err)
			require.NoError(t, cache.Purge(t.Context(), r))
		}
	}
}

// A handler around the cache may also change the query, the Host, or only the escaping of the path.
func TestRewrittenRequestsDoNotShareEntries(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh(fmt.Sprintf("%s %s %s", r.Host, r.URL.EscapedPath(), r.URL.RawQuery))(w, r)
	}))
	rewritings := map[string]func(*http.Request){
		"nothing":  func(*http.Request) {},
		"query":    func(r *http.Request) { r.URL.RawQuery = "tenant=a" },
		"path":     func(r *http.Request) { r.URL.Path = "/other" },
		"escaping": func(r *http.Request) { r.URL.RawPath = "" },
		"more":     func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/x/y", "/x%2Fy" },
		"less":     func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/x/y", "" },
		"host":     func(r *http.Request) { r.Host = "inner.test" },
	}
	h := serveTLS(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rewrite := rewritings[r.Header.Get("X-Rewrite")]; rewrite != nil {
			r.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
			rewrite(r)
		}
		cached.ServeHTTP(w, r)
	}))
	for _, target := range []string{"/a%2Fb?q", "/a/b?q", "/a%20b", "/"} {
		want := make(map[string]string)
		for name := range rewritings {
			want[name] = h.get(target, "X-Rewrite", name, "Cache-Control", "no-store").body
		}
		for range 2 {
			for name := range rewritings {
				require.Equal(t, want[name], h.get(target, "X-Rewrite", name).body, "%s %s", target, name)
			}
		}
	}
}
