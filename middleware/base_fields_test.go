package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// addingTransport is a base transport that adds a field of one user to each request, as
// golang.org/x/oauth2 adds a token.
type addingTransport struct {
	name, value string
	base        http.RoundTripper
	// inPlace makes it change the caller's request, which RoundTripper forbids but some transports
	// do.
	inPlace      bool
	hidesRequest bool // The response does not carry the request that was sent.
}

func (a addingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !a.inPlace {
		r = r.Clone(r.Context())
	}
	if a.value == "" {
		delete(r.Header, a.name)
	} else {
		r.Header[a.name] = []string{a.value}
	}
	response, err := a.base.RoundTrip(r)
	if a.hidesRequest && response != nil {
		response.Request = nil
	}
	return response, err
}

// transportsBelow is one cache above several transports, each of which adds a field of one user.
type transportsBelow struct {
	t     *testing.T
	cache *middleware.Cache
	field string
	base  http.RoundTripper
	add   addingTransport
}

func (b *transportsBelow) get(user string, header ...string) reply {
	b.t.Helper()
	add := b.add
	add.name, add.value, add.base = b.field, user, b.base
	var door http.RoundTripper = b.base
	if user != "" {
		door = add
	}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "http://example.com/", nil)
	r.Body = nil
	addFields(r.Header, header)
	before := r.Header.Clone()
	response, err := b.cache.Transport(door).RoundTrip(r)
	require.NoError(b.t, err)
	if !add.inPlace {
		require.Equal(b.t, before, r.Header, "the caller's request must not change")
	}
	return readReply(response)
}

// eachTransportBelow runs test in a synctest bubble, with a cache whose origin takes a second and
// says for whom it answers.
func eachTransportBelow(t *testing.T, cfg middleware.Config, field string, origin func(h http.Header, r *http.Request), test func(t *testing.T, b *transportsBelow)) {
	t.Helper()
	for _, inPlace := range []bool{false, true} {
		for _, streams := range []bool{false, true} {
			t.Run(fmt.Sprintf("in place %v, streams %v", inPlace, streams), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cfg := cfg
					if !streams {
						cfg.Storage = notStreaming{memcache.New(memcache.Config{})}
					}
					cache := newCache(t, cfg)
					base := serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						time.Sleep(time.Second)
						w.Header().Set("Etag", fmt.Sprintf("%q", r.Header.Get(field)))
						origin(w.Header(), r)
						if strings.Contains(r.Header.Get("If-None-Match"), w.Header().Get("Etag")) {
							w.WriteHeader(http.StatusNotModified)
							return
						}
						io.WriteString(w, "for "+r.Header.Get(field))
					})}
					test(t, &transportsBelow{t: t, cache: cache, field: field, base: base, add: addingTransport{inPlace: inPlace}})
					require.NoError(t, cache.Close(context.Background()))
				})
			})
		}
	}
}

// A transport below the cache may add credentials. Their answer is kept from others as if the
// request had carried them.
func TestCredentialsAddedBelowTheCacheAreRespected(t *testing.T) {
	users := middleware.Config{Private: true}
	one := middleware.Config{Private: true, SingleUser: true}
	for name, c := range map[string]struct {
		cfg    middleware.Config
		field  string
		origin []string
		stored bool
	}{
		"shared, Authorization":                   {middleware.Config{}, "Authorization", []string{"Cache-Control", "max-age=60"}, false},
		"shared, Authorization, must-revalidate":  {middleware.Config{}, "Authorization", []string{"Cache-Control", "max-age=60, must-revalidate"}, true},
		"shared, Authorization, public":           {middleware.Config{}, "Authorization", []string{"Cache-Control", "public, max-age=60"}, true},
		"shared, Authorization, s-maxage":         {middleware.Config{}, "Authorization", []string{"Cache-Control", "s-maxage=60"}, true},
		"shared, Cookie":                          {middleware.Config{}, "Cookie", []string{"Cache-Control", "max-age=60"}, true},
		"shared, Vary: Cookie":                    {middleware.Config{}, "Cookie", []string{"Cache-Control", "max-age=60", "Vary", "Cookie"}, false},
		"shared, Vary: X-Tenant":                  {middleware.Config{}, "X-Tenant", []string{"Cache-Control", "max-age=60", "Vary", "x-tenant"}, false},
		"shared, a field that Vary does not name": {middleware.Config{}, "Traceparent", []string{"Cache-Control", "max-age=60", "Vary", "Cookie"}, true},
		"shared, Accept-Encoding":                 {middleware.Config{}, "Accept-Encoding", []string{"Cache-Control", "max-age=60", "Vary", "Accept-Encoding"}, true},
		"private, Authorization":                  {users, "Authorization", []string{"Cache-Control", "max-age=60"}, false},
		"private, Cookie":                         {users, "Cookie", []string{"Cache-Control", "max-age=60"}, false},
		"private, X-Tenant":                       {users, "X-Tenant", []string{"Cache-Control", "max-age=60"}, true},
		"private, Vary: X-Tenant":                 {users, "X-Tenant", []string{"Cache-Control", "max-age=60", "Vary", "X-Tenant"}, false},
		"one user, Authorization":                 {one, "Authorization", []string{"Cache-Control", "max-age=60"}, true},
		"one user, Cookie":                        {one, "Cookie", []string{"Cache-Control", "max-age=60"}, true},
		"one user, Vary: Cookie":                  {one, "Cookie", []string{"Cache-Control", "max-age=60", "Vary", "Cookie"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			origin := func(h http.Header, _ *http.Request) {
				addFields(h, c.origin)
			}
			eachTransportBelow(t, c.cfg, c.field, origin, func(t *testing.T, b *transportsBelow) {
				require.Equal(t, "for alice", b.get("alice").body)
				require.NoError(t, b.cache.Wait(t.Context()))
				for _, user := range []string{"bob", "", "alice"} {
					got := b.get(user)
					require.Equal(t, c.stored, strings.Contains(got.status(), "; hit"), "%s: %s", user, got.status())
					if !c.stored {
						require.Equal(t, "for "+user, got.body)
						if user != "" {
							require.NotContains(t, got.status(), "stored")
						}
					}
					require.NoError(t, b.cache.Wait(t.Context()))
					if user == "" && !c.stored {
						require.Contains(t, b.get("").status(), "; hit", "an answer to a request without credentials can be stored")
						time.Sleep(2 * time.Minute)
					}
				}
			})
			if c.stored {
				return
			}
			// Waiters do not fetch one after the other, and later requests do not wait.
			eachTransportBelow(t, c.cfg, c.field, origin, func(t *testing.T, b *transportsBelow) {
				for _, limit := range []time.Duration{2 * time.Second, time.Second} {
					began := time.Now()
					var all sync.WaitGroup
					for n := range 20 {
						all.Go(func() {
							user := fmt.Sprint("user", n)
							if got := b.get(user).body; got != "for "+user {
								t.Errorf("%s got the answer %q", user, got)
							}
						})
					}
					all.Wait()
					require.LessOrEqual(t, time.Since(began), limit)
				}
			})
		})
	}
}

// A field that the transport below replaces counts as one that it added. A removed field did not
// reach the origin, so it does not count.
func TestFieldsReplacedBelowTheCacheAreRespected(t *testing.T) {
	for vary, c := range map[string]struct {
		sent, instead string
		stored        bool
	}{
		"replaced":       {"mine", "theirs", false},
		"left as it was": {"mine", "mine", true},
		"removed":        {"mine", "", true},
	} {
		t.Run(vary, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := newCache(t, middleware.Config{})
				base := serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Cache-Control", "max-age=60")
					w.Header().Set("Vary", "X-V")
				})}
				door := cache.Transport(addingTransport{name: "X-V", value: c.instead, base: base})
				for n := range 2 {
					r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
					r.Body = nil
					r.Header.Set("X-V", c.sent)
					got := roundTrip(t, door, r)
					require.Equal(t, c.stored && n == 1, strings.Contains(got.status(), "; hit"), got.status())
					require.NoError(t, cache.Wait(t.Context()))
				}
			})
		})
	}
}

// A validation with credentials that were added below answers its client only. It does not freshen
// the entry, nor take it from clients without credentials.
func TestValidationWithCredentialsAddedBelowIsNotStored(t *testing.T) {
	origin := func(h http.Header, _ *http.Request) {
		h.Set("Cache-Control", "max-age=10")
		h.Set("Etag", `"e"`)
	}
	eachTransportBelow(t, middleware.Config{}, "Authorization", origin, func(t *testing.T, b *transportsBelow) {
		require.Equal(t, "for ", b.get("").body)
		require.NoError(t, b.cache.Wait(t.Context()))
		time.Sleep(20 * time.Second)
		r := b.get("alice")
		require.Equal(t, "for ", r.body)
		require.Contains(t, r.status(), "fwd=stale; fwd-status=304")
		require.NotContains(t, r.status(), "stored")
		require.Contains(t, b.get("").status(), "fwd=stale; fwd-status=304; stored")
		require.Contains(t, b.get("alice").status(), "; hit")
	})
}

// A base that does not report what it sent gives no reason to refuse storing. The same holds if the
// reported request has no header, as after some redirects.
func TestBaseThatDoesNotReportItsRequestIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		base := serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-V")
		})}
		for name, door := range map[string]http.RoundTripper{
			"no request in the response": addingTransport{name: "X-V", value: "1", base: base, hidesRequest: true},
			"a request without a header": roundTripFunc(func(r *http.Request) (*http.Response, error) {
				response, err := base.RoundTrip(r)
				response.Request = &http.Request{}
				return response, err
			}),
		} {
			r := httptest.NewRequest(http.MethodGet, "http://example.com/"+strings.ReplaceAll(name, " ", "-"), nil)
			r.Body = nil
			roundTrip(t, cache.Transport(door), r)
			require.NoError(t, cache.Wait(t.Context()))
			require.Contains(t, roundTrip(t, cache.Transport(door), r).status(), "; hit", name)
		}
	})
}
