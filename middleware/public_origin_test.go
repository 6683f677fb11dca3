package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

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
	secure = serveTLS(t, proto, proxy)
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
			h := serveTLS(t, "HTTP/1.1", cache.Handler(fresh("page")))
			h.getTwice("/a", "Host", publicHost)
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
		secure.getTwice("/a", "Host", publicHost)
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
