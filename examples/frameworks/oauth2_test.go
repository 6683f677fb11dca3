package frameworks

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/cirquecache/cirque/middleware"
)

// tokenOf returns the token that oauth2.Transport adds to the requests that it sends to its base.
func tokenOf(user string) oauth2.TokenSource {
	return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: user})
}

// profile answers each user with another page.
func profile(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Write([]byte("profile of " + r.Header.Get("Authorization")))
}

// The right way round: the cache is the base of oauth2.Transport, so it sees the credentials.
func TestOAuth2AroundTheCache(t *testing.T) {
	for name, cfg := range map[string]middleware.Config{"shared": {}, "private": {Private: true}} {
		t.Run(name, func(t *testing.T) {
			s, cache := serve(t, http.HandlerFunc(profile)), newCache(t, cfg)
			for range 2 {
				for _, user := range []string{"alice", "bob"} {
					s.client = &http.Client{Transport: &oauth2.Transport{Source: tokenOf(user), Base: cache.Transport(nil)}}
					got := s.send(http.MethodGet, "/")
					require.Equal(t, "profile of Bearer "+user, got.body, got.cache)
				}
			}
			require.Equal(t, cfg.Private, hit(s.send(http.MethodGet, "/")))
		})
	}
}

// The other way round, the cache does not see the credentials in the request. They are in the
// request that the base reports in the response.
func TestOAuth2BehindTheCache(t *testing.T) {
	for name, cfg := range map[string]middleware.Config{"shared": {}, "private": {Private: true}} {
		t.Run(name, func(t *testing.T) {
			s, cache := serve(t, http.HandlerFunc(profile)), newCache(t, cfg)
			for range 2 {
				for _, user := range []string{"alice", "bob"} {
					s.client = &http.Client{Transport: cache.Transport(&oauth2.Transport{Source: tokenOf(user)})}
					got := s.send(http.MethodGet, "/")
					require.Equal(t, "profile of Bearer "+user, got.body, got.cache)
				}
			}
		})
	}
}
