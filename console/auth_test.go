package console

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func TestThereIsNoOpenDefault(t *testing.T) {
	one, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	same, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	allow := func(*http.Request) bool { return true }
	for message, cfg := range map[string]Config{
		"not for everybody":      {Caches: []*middleware.Cache{one}},
		"Caches is empty":        {Authorize: allow},
		"less than 16":           {Caches: []*middleware.Cache{one}, Token: "short"},
		"negative: -1":           {Caches: []*middleware.Cache{one}, Authorize: allow, MaxPages: -1},
		`are called "Cirque"`:    {Caches: []*middleware.Cache{one, same}, Authorize: allow},
		"set middleware.Config.": {Caches: []*middleware.Cache{one, one}, Authorize: allow},
	} {
		_, err := New(cfg)
		require.ErrorContains(t, err, message)
	}
}

// Without authorisation there is nothing on any path, by any method.
func TestNothingWithoutAuthorisation(t *testing.T) {
	for name, cfg := range map[string]Config{
		"Authorize": {Authorize: func(*http.Request) bool { return false }},
		"Token":     {Token: secret},
		"both":      {Token: secret, Authorize: func(*http.Request) bool { return false }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, cfg)
			s.get("/")
			for _, path := range append(paths, "login") {
				for _, method := range []string{"GET", "HEAD", "POST", "PUT", "OPTIONS", "PURGE"} {
					w := s.ask(method, path, `{"kind":"all"}`, csrfField+": "+s.console.secrets.csrf)
					if !(name == "Token" && path == "login") {
						require.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, w.Code, "%s %s", method, path)
					}
					for _, told := range []string{"site.example", "requests", s.console.secrets.csrf, "Purge"} {
						require.NotContains(t, w.Body.String(), told, "%s %s", method, path)
					}
				}
			}
			require.Contains(t, s.get("/"), "; hit", "nothing was purged")
		})
	}
}

func TestBearerToken(t *testing.T) {
	s := newSite(t, Config{Token: secret})
	for field, want := range map[string]int{
		"Authorization: Bearer " + secret:         http.StatusOK,
		"Authorization: bearer " + secret:         http.StatusOK,
		"Authorization: Bearer " + secret + "x":   http.StatusUnauthorized,
		"Authorization: Bearer ":                  http.StatusUnauthorized,
		"Authorization: Basic " + secret:          http.StatusUnauthorized,
		"Cookie: " + sessionCookie + "=" + secret: http.StatusUnauthorized,
	} {
		require.Equal(t, want, s.ask("GET", "stats.json", "", field).Code, field)
	}
	s.get("/")
	w := s.ask("POST", "purge", `{"kind":"all"}`, "Authorization: Bearer "+secret)
	require.Equal(t, http.StatusOK, w.Code, "a program needs no secret of the page")
	require.Contains(t, s.get("/"), "uri-miss")
}

func TestLogin(t *testing.T) {
	s := newSite(t, Config{Token: secret})
	form := "Content-Type: application/x-www-form-urlencoded"
	require.Contains(t, s.ask("GET", "", "").Body.String(), `action="login"`)
	require.Contains(t, s.ask("GET", "login", "").Body.String(), `action="login"`)
	require.Equal(t, http.StatusMethodNotAllowed, s.ask("PUT", "login", "").Code)

	w := s.ask("POST", "login", "token=wrong", form)
	require.Equal(t, http.StatusUnauthorized, w.Code)
	require.Contains(t, w.Body.String(), "That is not the token.")
	require.Empty(t, w.Header()["Set-Cookie"])

	w = s.ask("POST", "login", "token="+strings.ReplaceAll(secret, " ", "+"), form, "Sec-Fetch-Site: cross-site")
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Empty(t, w.Header()["Set-Cookie"])

	w = s.ask("POST", "login", "token="+strings.ReplaceAll(secret, " ", "+"), form, "Sec-Fetch-Site: same-origin")
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Equal(t, "./", w.Header().Get("Location"))
	cookie := w.Result().Cookies()[0]
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.NotContains(t, cookie.Value, secret)

	logged := "Cookie: " + cookie.Name + "=" + cookie.Value
	require.Contains(t, s.ask("GET", "", "", logged).Body.String(), "Log out")
	require.Equal(t, http.StatusForbidden, s.ask("POST", "purge", `{"kind":"all"}`, logged).Code, "without the secret of the page")
	require.Equal(t, http.StatusOK, s.post("purge", `{"kind":"all"}`, logged).Code)
	require.Equal(t, -1, s.post("logout", "", logged).Result().Cookies()[0].MaxAge)

	until, signature, _ := strings.Cut(cookie.Value, ".")
	past := strconv.FormatInt(time.Now().Add(-time.Second).Unix(), 10)
	for _, forged := range []string{
		"", until, until + ".", "9" + until + "." + signature, past + "." + signature, "x." + s.console.secrets.sign("session x"),
		past + "." + s.console.secrets.sign("session "+past), // it has ended
	} {
		require.Equal(t, http.StatusUnauthorized, s.ask("GET", "stats.json", "", "Cookie: "+cookie.Name+"="+forged).Code, forged)
	}
}

func TestLoopback(t *testing.T) {
	for _, test := range []struct {
		client, host, field string
		want                bool
	}{
		{"127.0.0.1:1", "localhost:8081", "", true},
		{"127.0.0.1:1", "LOCALHOST", "", true},
		{"127.3.2.1:1", "127.0.0.1:8081", "", true},
		{"[::1]:1", "[::1]:8081", "", true},
		{"[::ffff:127.0.0.1]:1", "[::1]", "", true},
		{"192.0.2.1:1", "localhost", "", false},
		{"", "localhost", "", false},
		{"@", "localhost", "", false},
		{"127.0.0.1:1", "rebound.example", "", false},
		{"127.0.0.1:1", "localhost.rebound.example", "", false},
		{"127.0.0.1:1", "127.0.0.1.rebound.example:8081", "", false},
		{"127.0.0.1:1", "", "", false},
		{"127.0.0.1:1", "localhost", "X-Forwarded-For", false},
		{"127.0.0.1:1", "localhost", "Forwarded", false},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr, r.Host = test.client, test.host
		if test.field != "" {
			r.Header.Set(test.field, "192.0.2.1")
		}
		require.Equal(t, test.want, Loopback(r), "%+v", test)
	}
	for address, want := range map[string]bool{
		"localhost:1": true, "127.0.0.1:0": true, "[::1]:9": true,
		":8081": false, "0.0.0.0:1": false, "192.0.2.1:1": false, "[::]:1": false, "example.com:1": false,
	} {
		require.Equal(t, want, IsLoopback(address), address)
	}
}

// What another site makes a browser send does nothing.
func TestPostsOfOtherOriginsAreRefused(t *testing.T) {
	s := newSite(t, Config{})
	s.get("/")
	csrf := csrfField + ": " + s.console.secrets.csrf
	for _, fields := range [][]string{
		{"Sec-Fetch-Site: cross-site", csrf},
		{"Sec-Fetch-Site: same-site", csrf},
		{"Origin: https://evil.example", csrf},
		{"Origin: null", csrf},
		{},
		{"Sec-Fetch-Site: same-origin"},
		{"Sec-Fetch-Site: same-origin", csrfField + ": " + strings.Repeat("0", 64)},
	} {
		for _, path := range []string{"purge", "explain", "logout"} {
			require.Equal(t, http.StatusForbidden, s.ask("POST", path, `{"kind":"all"}`, fields...).Code, "%s %q", path, fields)
		}
	}
	require.Contains(t, s.get("/"), "; hit", "nothing was purged")
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE"} {
		require.Equal(t, http.StatusMethodNotAllowed, s.ask(method, "purge", `{"kind":"all"}`, csrf).Code, method)
	}
	require.Equal(t, http.StatusOK, s.ask("POST", "purge", `{"kind":"all"}`, "Sec-Fetch-Site: same-origin", "Origin: http://console.example", csrf).Code)
	require.Contains(t, s.get("/"), "uri-miss")
}

// All answers forbid frames, guessing and storing. The policy of the page allows its own script and
// style, by their hashes, and nothing else.
func TestAnswersAreGuarded(t *testing.T) {
	open, guarded := newSite(t, Config{}), newSite(t, Config{Token: secret})
	for _, s := range []*site{open, guarded} {
		for _, path := range append(paths, "login") {
			if s == open && path == "events" {
				continue // it does not end
			}
			h := s.ask("GET", path, "").Header()
			require.Equal(t, "no-store", h.Get("Cache-Control"), path)
			require.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
			require.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
			require.Contains(t, h.Get("Content-Security-Policy"), "default-src 'none'", path)
			require.Contains(t, h.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
			require.NotContains(t, h.Get("Content-Security-Policy"), "unsafe", path)
			require.Empty(t, h["Access-Control-Allow-Origin"], path)
		}
	}
	page, policy := open.ask("GET", "", ""), ""
	policy = page.Header().Get("Content-Security-Policy")
	for element, directive := range map[string]string{"script": "script-src", "style": "style-src"} {
		parts := regexp.MustCompile("(?s)<"+element+">(.*?)</"+element+">").FindAllStringSubmatch(page.Body.String(), -1)
		require.Len(t, parts, 1)
		sum := sha256.Sum256([]byte(parts[0][1]))
		require.Contains(t, policy, directive+" 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	require.NotRegexp(t, `(?:src|href|action)="(?:https?:)?//`, page.Body.String(), "it asks nothing of other servers")
	require.NotRegexp(t, `\son\w+=|style="`, regexp.MustCompile("(?s)<script>.*</script>").ReplaceAllString(page.Body.String(), ""))
}
