package middleware_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
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

// site serves handler on loopback by HTTP/1.1 or HTTP/2, with TLS, and returns a harness to ask it.
func site(t *testing.T, proto string, handler http.Handler) *harness {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = quiet
	server.EnableHTTP2 = proto == "HTTP/2.0"
	server.StartTLS()
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := &harness{t: t, front: server, client: client}
	require.Equal(t, proto, h.get("/warm-up").Proto)
	return h
}

// eachProtocol runs test with HTTP/1.1 and with HTTP/2.
func eachProtocol(t *testing.T, test func(t *testing.T, proto string)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) { test(t, proto) })
	}
}

// counted answers every GET with its name, a running number and the URL that it sees.
func counted(name string) (handler http.Handler, asked *atomic.Int32) {
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

// twice requests target twice and returns the body. The second answer must be a hit.
func (h *harness) twice(target string, header ...string) string {
	h.t.Helper()
	first := h.get(target, header...)
	require.Contains(h.t, first.status(), "; stored", target)
	second := h.get(target, header...)
	require.Contains(h.t, second.status(), "; hit", target)
	require.Equal(h.t, first.body, second.body, target)
	return first.body
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
				docs, _ := counted("docs")
				admin, _ := counted("admin")
				h := site(t, proto, mount(newCache(t, middleware.Config{}), docs, admin))
				for _, target := range []string{"index.html", "a%2Fb", "a/b", "index.html?x=1", "?", ""} {
					for _, path := range []string{"/docs/", "/admin/"} {
						require.Contains(t, h.twice(path+target), path[1:len(path)-1]+" ", path+target)
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
		docs, _ := counted("docs")
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
		h := site(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
			h.twice("/docs/a/b")
			remove()
			require.Contains(t, h.get("/docs/a/b").status(), "fwd=uri-miss", what)
			h.do("PURGE", "/docs/a/b")
		}
		h.twice("/docs/a/b")
		h.do(http.MethodPost, "/docs/x", "X-Location", "/a/b") // nothing is stored under this path
		require.Contains(t, h.get("/docs/a/b").status(), "; hit")
	})
}

// A handler around the cache may rewrite one public URL to a page of each tenant. Tenants never get
// each other's pages, nor do they displace them. A purge of the public URL removes all.
func TestTenantsOfOneURLDoNotShareEntries(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		app, asked := counted("app")
		cache := newCache(t, middleware.Config{AuthorizePurge: always})
		cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Etag", `"1"`) // the first version of every tenant
			if r.Header.Get("If-None-Match") != "" {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			app.ServeHTTP(w, r)
		}))
		h := site(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
				require.Equal(t, fmt.Sprintf("app %d sees %s/page?x", i+1, prefix), h.twice("/page?x", "X-Tenant", tenant))
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
	h := site(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	h := site(t, "HTTP/1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// Behind a proxy that rewrites the path, the rewritten URL makes the key. The client's URL, which
// the request still carries, does not, nor does the scheme of the client's connection.
func TestTransportKeysGoByTheRewrittenURL(t *testing.T) {
	var asked atomic.Int32
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); r.Method == http.MethodGet {
			fresh(fmt.Sprintf("%d: %s", n, r.URL))(w, r)
		}
	}))
	defer origin.Close()
	target, err := url.Parse(origin.URL)
	require.NoError(t, err)
	inner := func(path string) string {
		if below, ok := strings.CutPrefix(path, "/outer"); ok {
			return "/inner" + below
		}
		return path
	}
	for name, proxy := range map[string]*httputil.ReverseProxy{
		"Rewrite": {Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.URL.Path = inner(r.In.URL.Path)
		}},
		"Director": {Director: func(r *http.Request) {
			r.URL.Scheme, r.URL.Host, r.Host = target.Scheme, target.Host, target.Host
			r.URL.Path = inner(r.URL.Path)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachProtocol(t, func(t *testing.T, proto string) {
				asked.Store(0)
				cache := newCache(t, middleware.Config{})
				transport := &http.Transport{}
				t.Cleanup(transport.CloseIdleConnections)
				proxy := *proxy
				proxy.Transport = cache.Transport(transport)
				h := site(t, proto, &proxy)
				require.Equal(t, "2: /inner/a", h.twice("/outer/a"))
				require.Contains(t, h.get("/inner/a").status(), "; hit", "both URLs are the same to the origin")

				outbound, err := http.NewRequest(http.MethodGet, origin.URL+"/inner/a", nil)
				require.NoError(t, err)
				require.NoError(t, cache.Purge(t.Context(), outbound))
				require.Equal(t, "3: /inner/a", h.twice("/outer/a"))
				h.do(http.MethodPost, "/outer/a")
				require.Equal(t, "5: /inner/a", h.twice("/outer/a"))
			})
		})
	}
}

// A request sent through a Transport is a client's, although it has fields of a server's request.
// Its Body is content, its scheme is that of its URL, and the base gets it unchanged.
func TestTransportIgnoresFieldsOfAServersRequest(t *testing.T) {
	var last atomic.Pointer[http.Request]
	door := newCache(t, middleware.Config{}).Transport(answering(func(r *http.Request) *http.Response {
		last.Store(r)
		body := ""
		if r.Body != nil {
			b, _ := io.ReadAll(r.Body)
			body = string(b)
		}
		return respond("for "+body, "Cache-Control", "max-age=60")
	}))
	ask := func(scheme, content string, secure bool) string {
		r, err := http.NewRequest(http.MethodGet, scheme+"://example.test/", nil)
		require.NoError(t, err)
		r.RequestURI = "/inbound"
		if secure {
			r.TLS = new(tls.ConnectionState)
		}
		if content != "" {
			r.Body = io.NopCloser(strings.NewReader(content))
		}
		return roundTrip(t, door, r).body + " " + last.Load().RequestURI
	}
	require.Equal(t, "for  /inbound", ask("http", "", true))
	require.NotNil(t, last.Load().TLS)
	for range 2 {
		require.Equal(t, "for  /inbound", ask("http", "", true))
		require.Equal(t, "for x /inbound", ask("http", "x", true))
		require.Equal(t, "for y /inbound", ask("http", "y", false))
	}
	for _, scheme := range []string{"http", "https"} {
		r, err := http.NewRequest(http.MethodGet, scheme+"://example.test/", nil)
		require.NoError(t, err)
		require.Equal(t, scheme == "http", strings.Contains(roundTrip(t, door, r).status(), "; hit"), scheme)
	}
}

// A purge with a server's request goes by what its client asked for.
func TestPurgeWithAServersRequestGoesByItsPublicURL(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	var purged error
	h := site(t, "HTTP/1.1", http.StripPrefix("/docs", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			purged = cache.Purge(r.Context(), r)
			return
		}
		cache.Handler(fresh("docs")).ServeHTTP(w, r)
	})))
	h.twice("/docs/a")
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
	docs, _ := counted("docs")
	admin, _ := counted("admin")
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
	h := site(t, "HTTP/1.1", mux)
	for _, method := range []string{http.MethodGet, http.MethodPost, "PURGE"} {
		h.do(method, "/docs/a?x")
		require.Equal(t, "/docs/a?x /docs/a?x", *seen.Load(), method)
	}
	require.Contains(t, h.twice("/docs/a?x"), "docs ")
	require.Contains(t, h.twice("/admin/a?x"), "admin ")
}

// terminator returns a proxy that ends the TLS connections of its clients, and a plain one beside
// it. Both tell the server behind them the client's scheme in X-Forwarded-Proto.
func terminator(t *testing.T, behind http.Handler, proto string) (secure, plain *harness) {
	t.Helper()
	inner := httptest.NewServer(behind)
	t.Cleanup(inner.Close)
	target, err := url.Parse(inner.URL)
	require.NoError(t, err)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	proxy := &httputil.ReverseProxy{Transport: transport, ErrorLog: quiet, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.SetXForwarded()
	}}
	secure = site(t, proto, proxy)
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	client := front.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return secure, &harness{t: t, front: front, client: client}
}

// secureOnly redirects to https every request that did not come by https, as X-Forwarded-Proto
// says.
var secureOnly = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Cache-Groups", `"pages"`)
	if r.Header.Get("X-Forwarded-Proto") != "https" {
		w.Header().Set("Location", "https://"+r.Host+r.URL.Path)
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	io.WriteString(w, "page")
})

const publicHost = "www.example.test"

// The redirect from http to https is not served to clients that came by https: it would loop.
func TestRedirectToHTTPSIsServedToPlainClientsOnly(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		cache := newCache(t, middleware.Config{TrustForwarded: always})
		secure, plain := terminator(t, cache.Handler(secureOnly), proto)
		for _, hit := range []bool{false, true} {
			for _, h := range []*harness{plain, secure} {
				got := h.get("/a", "Host", publicHost)
				require.Equal(t, hit, strings.Contains(got.status(), "; hit"))
				if h == plain {
					require.Equal(t, http.StatusMovedPermanently, got.StatusCode)
				} else {
					require.Equal(t, "page", got.body)
				}
			}
		}
	})
}

// With the public URLs in the Config, purges of a URL and of a group need nothing else.
func TestPublicURLsBehindATerminatorArePurged(t *testing.T) {
	configs := map[string]middleware.Config{
		"TrustForwarded":        {TrustForwarded: always},
		"PublicOrigin":          {PublicOrigin: "https://" + publicHost},
		"PublicOrigin, port":    {PublicOrigin: "HTTPS://WWW.example.test:443"},
		"PublicOrigin, scheme":  {PublicOrigin: "https://*"},
		"scheme, and forwarded": {PublicOrigin: "https://*", TrustForwarded: always},
	}
	for name, cfg := range configs {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, cfg)
			secure, _ := terminator(t, cache.Handler(secureOnly), "HTTP/1.1")
			request := func(method, target string) *http.Request {
				r, err := http.NewRequest(method, target, nil)
				require.NoError(t, err)
				return r
			}
			public := request(http.MethodGet, "https://"+publicHost+"/a")
			for what, remove := range map[string]func(){
				"Purge":     func() { require.NoError(t, cache.Purge(t.Context(), public)) },
				"SoftPurge": func() { require.NoError(t, cache.SoftPurge(t.Context(), public)) },
				"PurgeGroup": func() {
					require.NoError(t, cache.PurgeGroup(t.Context(), request(http.MethodGet, "https://"+publicHost+"/"), "pages"))
				},
				"POST": func() {
					require.Equal(t, "page", secure.do(http.MethodPost, "/a", "Host", publicHost).body)
				},
			} {
				secure.get("/a", "Host", publicHost)
				require.Contains(t, secure.get("/a", "Host", publicHost).status(), "; hit", what)
				remove()
				require.NotContains(t, secure.get("/a", "Host", publicHost).status(), "; hit", what)
			}
			key, ok := cache.HandlerKey(public)
			require.True(t, ok)
			_, hit, err := cache.Options().Storage.Lookup(t.Context(), key)
			require.NoError(t, err)
			require.NoError(t, hit.Close())
		})
	}
}

// By default nobody is trusted. What a client claims neither finds entries of others nor stores any
// for them.
func TestForwardedFieldsAreNotTrusted(t *testing.T) {
	for name, cfg := range map[string]middleware.Config{
		"by default": {},
		"from some":  {TrustForwarded: func(r *http.Request) bool { return r.Header.Get("X-Secret") == "s" }},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, cfg)
			h := site(t, "HTTP/1.1", cache.Handler(fresh("page")))
			h.twice("/a", "Host", publicHost)
			for _, claims := range [][]string{
				{"X-Forwarded-Proto", "http"}, {"X-Forwarded-Host", "other.test"}, {"Forwarded", "proto=http;host=other.test"},
			} {
				got := h.get("/a", append(claims, "Host", publicHost)...)
				require.Contains(t, got.status(), "; hit", claims)
			}
			require.NotContains(t, h.get("/a", "Host", "other.test", "X-Forwarded-Host", publicHost).status(), "; hit")
		})
	}
}

// Of a trusted proxy's fields only a plain value counts; others are ignored.
func TestUnclearForwardedFieldsAreIgnored(t *testing.T) {
	cache := newCache(t, middleware.Config{TrustForwarded: always})
	key := func(header ...string) cirque.CacheKey {
		r := httptest.NewRequest(http.MethodGet, "/a", nil)
		r.Host = publicHost
		addFields(r.Header, header)
		key, ok := cache.HandlerKey(r)
		require.True(t, ok)
		return key
	}
	plain := key()
	for _, value := range []string{"", "https, http", "https,https", "ftp", "https ", "https://", "\x00"} {
		require.Equal(t, plain, key("X-Forwarded-Proto", value), "%q", value)
	}
	require.Equal(t, plain, key("X-Forwarded-Proto", "https", "X-Forwarded-Proto", "https"))
	require.NotEqual(t, plain, key("X-Forwarded-Proto", "https"))
	require.Equal(t, key("X-Forwarded-Proto", "https"), key("X-Forwarded-Proto", "HTTPS"))
	for _, value := range []string{
		"", "a.test, b.test", "a.test b.test", "a.test/b", "u@a.test", "a.test?", "a.test#", "a.test\x00", "[::1", "a.test:x", ":80",
		"WWW.example.test:80", publicHost,
	} {
		require.Equal(t, plain, key("X-Forwarded-Host", value), "%q", value)
	}
	require.NotEqual(t, plain, key("X-Forwarded-Host", "a.test"))
	require.Equal(t, plain, key("Forwarded", "proto=https;host=a.test"), "Forwarded must be ignored, as it is unknown which field the proxy sets")
}

// Several Hosts may reach the handler under one public host. Each gets what the handler makes for
// it, and a purge removes all. The same holds for requests with TLS and requests through a proxy
// that ended it.
func TestPublicOriginKeepsWhatTheHandlerSeesApart(t *testing.T) {
	cache := newCache(t, middleware.Config{PublicOrigin: "https://" + publicHost})
	cached := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fresh(fmt.Sprint(r.Host, " ", r.TLS != nil))(w, r)
	}))
	secure, plain := httptest.NewTLSServer(cached), httptest.NewServer(cached)
	defer secure.Close()
	defer plain.Close()
	hosts := []string{publicHost, "a.test", "b.test:8080"}
	for _, hit := range []bool{false, true, false} {
		for _, server := range []*httptest.Server{secure, plain} {
			h := &harness{t: t, front: server, client: server.Client()}
			for _, host := range hosts {
				got := h.get("/", "Host", host)
				require.Equal(t, fmt.Sprint(host, " ", server == secure), got.body)
				require.Equal(t, hit, strings.Contains(got.status(), "; hit"))
			}
		}
		if hit {
			r, err := http.NewRequest(http.MethodGet, "https://"+publicHost, nil)
			require.NoError(t, err)
			require.NoError(t, cache.Purge(t.Context(), r))
		}
	}
}

// PurgeGroup for a public URL covers http and https if nothing says which one the clients use.
func TestPurgeGroupCoversBothSchemes(t *testing.T) {
	for _, origin := range []string{"http://" + publicHost, "https://" + publicHost, "https://WWW.example.test:443"} {
		cache := newCache(t, middleware.Config{})
		secure, _ := terminator(t, cache.Handler(secureOnly), "HTTP/1.1")
		r, err := http.NewRequest(http.MethodGet, origin, nil)
		require.NoError(t, err)
		secure.twice("/a", "Host", publicHost)
		require.NoError(t, cache.PurgeGroup(t.Context(), r, "others"))
		require.Contains(t, secure.get("/a", "Host", publicHost).status(), "; hit")
		require.NoError(t, cache.PurgeGroup(t.Context(), r, "pages"))
		require.NotContains(t, secure.get("/a", "Host", publicHost).status(), "; hit", origin)
	}
}

func TestInvalidPublicOriginIsRefused(t *testing.T) {
	for _, origin := range []string{
		"www.example.test", "//www.example.test", "ftp://www.example.test", "https://", "https://:443", "https://a.test/", "https://a.test/b",
		"https://u@a.test", "https://a.test?q", "https://a.test#f", "https://*.a.test", "https://a b", "https://[::1", "https://a.test:x", "*",
	} {
		_, err := middleware.New(middleware.Config{PublicOrigin: origin})
		require.ErrorContains(t, err, fmt.Sprintf("the PublicOrigin %q", origin))
	}
	for _, origin := range []string{"", "http://a.test", "HTTPS://A.test:8443", "https://[::1]:80", "https://*"} {
		_, err := middleware.New(middleware.Config{PublicOrigin: origin})
		require.NoError(t, err, origin)
	}
	_, err := middleware.New(middleware.Config{PublicOrigin: "https://a.test", TrustForwarded: always})
	require.ErrorContains(t, err, "TrustForwarded")
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
	h := site(t, "HTTP/1.1", http.StripPrefix("/docs", app))
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
