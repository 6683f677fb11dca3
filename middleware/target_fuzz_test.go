package middleware_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/cirquecache/cirque/middleware"
)

// rewritings are what handlers around a cache do to a request. Some change it in place.
var rewritings = []func(r *http.Request){
	func(*http.Request) {},
	func(r *http.Request) { stripped(r, "/a") },
	func(r *http.Request) { stripped(r, "/a"); stripped(r, "/b") },
	func(r *http.Request) { r.URL.Path = "/a" + r.URL.Path },
	func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/a"+r.URL.Path, "/a"+r.URL.EscapedPath() },
	func(r *http.Request) { r.URL.RawPath = "" },
	func(r *http.Request) { r.URL = &url.URL{Path: "/a/b"} },
	func(r *http.Request) { r.URL.RawQuery, r.URL.ForceQuery = "", false },
	func(r *http.Request) { r.URL.ForceQuery = true },
	func(r *http.Request) { r.URL.Path += "?x" },
	func(r *http.Request) { r.URL.RawQuery, r.URL.Path = r.URL.Path, "/" },
	func(r *http.Request) { r.URL.Opaque = r.URL.Path },
	func(r *http.Request) { r.URL.Scheme = "https" },
	func(r *http.Request) { r.URL.Host = "b.test" },
	func(r *http.Request) { r.URL.Host = "c.test" },
	func(r *http.Request) { r.URL.Fragment = "x" },
	func(r *http.Request) { r.URL.Fragment = "y" },
	func(r *http.Request) { r.URL.User = url.User("u") },
	func(r *http.Request) { r.URL.User = url.User("v") },
	func(r *http.Request) { r.URL.Opaque = "x" },
	func(r *http.Request) { r.URL = &url.URL{Path: "/a/b", ForceQuery: true} },
	func(r *http.Request) { r.Host = "b.test" },
	func(r *http.Request) { r.Host = "" },
	func(r *http.Request) { r.RequestURI = r.URL.RequestURI() },
}

// stripped does to r what http.StripPrefix does.
func stripped(r *http.Request, prefix string) {
	http.StripPrefix(prefix, http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) { r.URL = inner.URL })).
		ServeHTTP(httptest.NewRecorder(), r)
}

// seen returns all that a handler sees of the target of r. Spellings that RFC 9110 §4.2.3 and RFC
// 9112 §3.2.2 make equal, of a host or of an absolute form, become one.
func seen(r *http.Request) string {
	host := func(s string) string {
		return strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(s), ":80"), ":")
	}
	u, authority := r.URL, ""
	if host(u.Host) != host(r.Host) {
		authority = host(u.Host)
	}
	asked := r.RequestURI
	if i := strings.Index(asked, "://"); i > 0 && asked[0] != '/' {
		asked = asked[i+len("://"):]
		if i = strings.IndexAny(asked, "/?"); i < 0 {
			asked, i = asked+"/", len(asked)
		}
		if asked = asked[i:]; asked[0] == '?' {
			asked = "/" + asked
		}
	}
	path, rawPath := u.Path, u.RawPath
	if path == "" {
		path = "/"
	}
	return fmt.Sprintf("%q", []any{
		host(r.Host), asked, strings.TrimPrefix(u.Scheme, "http"), u.User.String(), authority, path, rawPath, u.RawQuery, u.ForceQuery,
		u.Opaque, u.Fragment,
	})
}

// Two requests of any target may be rewritten in any way by handlers around the cache. The second
// request gets what the handler behind the cache makes of the second request.
func FuzzTargets(f *testing.F) {
	targets := []string{
		"/", "//", "/a", "/a/", "/a/b", "/a%2Fb", "/a%2fb", "//a/b", "/a//b", "/a/../a/b", "/a?", "/a??", "/a?x", "/a%3Fx", "/a?x?", "/a;x", "/a#x", "/a%23x",
		"/a%00", "/a%zz?%zz", "/%61/b", "/{", "/%7B", "*", "/*", "http:/a", "http:a", "x:y", "http://a.test/a", "http://a.test", "http://a.test?x",
		"https://a.test/a", "http://u@a.test/a", "http://A.test:80/a", "http://b.test/a", "http://[::1]:80/a",
	}
	for i, a := range targets {
		f.Add(a, "a.test", uint8(0), targets[(i+1)%len(targets)], "a.test", uint8(i))
		f.Add("/a/b?x", "a.test", uint8(i), a, "A.test:80", uint8(i/2))
	}
	for i := range rewritings {
		for j := range rewritings {
			for _, target := range []string{"/a/b?x", "/a%2Fb"} {
				f.Add(target, "a.test", uint8(i), target, "a.test", uint8(j))
				f.Add(target, "a.test", uint8(i)|0x80, target, "a.test", uint8(j))
			}
		}
	}
	f.Add("/a", "a.test", uint8(0x80), "/a", "b.test", uint8(0))
	f.Add("/a", "a.test", uint8(0), "/a", "a.test.", uint8(0))
	f.Add("/a", "[::1]:80", uint8(0), "/a", "[::1]", uint8(0))
	f.Add("/a", "a.test:", uint8(0), "/a", "a.test:81", uint8(0))
	f.Fuzz(func(t *testing.T, target1, host1 string, rewriting1 uint8, target2, host2 string, rewriting2 uint8) {
		cfg := middleware.Config{MaxBytes: 1 << 20}
		if rewriting1 >= 0x80 {
			cfg.PublicOrigin = "http://www.test"
		}
		cache, err := middleware.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close(t.Context())
		door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fresh(seen(r))(w, r) }))
		for _, one := range []struct {
			target, host string
			rewriting    uint8
		}{{target1, host1, rewriting1}, {target2, host2, rewriting2}, {target1, host1, rewriting1}} {
			r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + one.target + " HTTP/1.1\r\nHost: " + one.host + "\r\n\r\n")))
			if err != nil || strings.ContainsAny(one.host, "\r\n") {
				return
			}
			rewritings[int(one.rewriting&0x7f)%len(rewritings)](r)
			want := seen(r)
			w := httptest.NewRecorder()
			door.ServeHTTP(w, r)
			if got := w.Body.String(); got != want {
				t.Fatalf("got  %s\nwant %s\n%s", got, want, w.Header().Get("Cache-Status"))
			}
			if err := cache.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}
