package middleware_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// Attacks that make the cache take one request for another.

// Requests that differ in host, scheme or port never share an entry (CVE-2026-2836).
func TestAttackOtherHostSchemeOrPortGetsItsOwnEntry(t *testing.T) {
	hosts := []string{"a.test", "b.test", "a.test:81", "b.test:81"}
	t.Run("handler", func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		front := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fresh(fmt.Sprintf("%s tls=%v", r.Host, r.TLS != nil))(w, r)
		}))
		plain, secure := httptest.NewServer(front), httptest.NewTLSServer(front)
		defer plain.Close()
		defer secure.Close()
		for _, hit := range []bool{false, true} {
			for _, server := range []*httptest.Server{plain, secure} {
				for _, host := range hosts {
					r, err := http.NewRequest("GET", server.URL+"/path", nil)
					require.NoError(t, err)
					r.Host = host
					got := roundTrip(t, server.Client().Transport, r)
					require.Equal(t, fmt.Sprintf("%s tls=%v", host, server == secure), got.body)
					require.Equal(t, hit, strings.Contains(got.status(), "; hit"))
				}
			}
		}
	})
	t.Run("transport", func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		door := cache.Transport(answering(func(r *http.Request) *http.Response {
			return respond(fmt.Sprintf("%s for %s", r.URL, r.Host), "Cache-Control", "max-age=60")
		}))
		for _, hit := range []bool{false, true} {
			for _, scheme := range []string{"http", "https"} {
				for _, authority := range hosts {
					for _, host := range hosts {
						r, err := http.NewRequest("GET", scheme+"://"+authority+"/path", nil)
						require.NoError(t, err)
						r.Host = host
						got := roundTrip(t, door, r)
						require.Equal(t, fmt.Sprintf("%s for %s", r.URL, host), got.body)
						require.Equal(t, hit, strings.Contains(got.status(), "; hit"))
					}
				}
			}
		}
	})
}

// Targets that a careless key would make equal stay distinct (dotnet/aspnetcore#67763).
func TestAttackSimilarTargetsGetTheirOwnEntries(t *testing.T) {
	targets := []string{
		"/a%3Fx=1", "/a?x=1", "/a", "/a?", "/a/", "//a", "/A", "/%61", "/a%00", "/a%2Fb", "/a/b", "/a%252Fb",
		"/a?a&b", "/a?b&a", "/a?a%26b", "/a?a=&b", "/a?x=1&x=2", "/a?x=2&x=1", "/a?x=1;x=2", "/a?x=1,2", "/a?x=1%2C2", "/a?x=1&x=2&",
		"/a?x=1?y=2", "/a?x=1%3Fy=2", "/a?x=+", "/a?x=%20", "/a?x=%2B",
	}
	origin := func(w http.ResponseWriter, r *http.Request) { fresh(r.RequestURI)(w, r) }
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for round := range 2 {
			for _, target := range targets {
				reply := h.raw(faulty.Request{Target: target})[0]
				require.Equal(t, target, string(reply.Body))
				require.Equal(t, round == 1, strings.Contains(reply.Header.Get("Cache-Status"), "; hit"), target)
			}
		}
	})
}

// An opaque target does not share an entry with a path of the same spelling.
func TestAttackOpaqueTargetIsNotTakenForAPath(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	door := cache.Transport(answering(func(r *http.Request) *http.Response {
		return respond(r.URL.String(), "Cache-Control", "max-age=60")
	}))
	for range 2 {
		for _, u := range []*url.URL{
			{Scheme: "http", Host: "a.test", Path: "//b.test/"},
			{Scheme: "http", Host: "a.test", Opaque: "//b.test/"},
			{Scheme: "http", Host: "a.test", Opaque: "//b.test/", RawQuery: "x"},
		} {
			r := &http.Request{Method: http.MethodGet, URL: u, Host: "a.test", Header: http.Header{}}
			require.Equal(t, u.String(), roundTrip(t, door, r).body)
		}
	}
	require.NoError(t, cache.Wait(t.Context()))
}

// A GET with a body neither reads nor writes an entry.
func TestAttackGetWithBodyBypassesTheCache(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fresh("you sent: "+string(body))(w, r)
	}
	chunked := faulty.Request{Fields: []string{"Transfer-Encoding: chunked"}, Body: "3\r\nfat\r\n0\r\n\r\n"}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for n, fat := range []faulty.Request{{Body: "fat"}, chunked} {
			fat.Target = fmt.Sprintf("/fat/%d", n)
			if fat.Body != "fat" {
				fat.Length = -1 // The body is chunked and has no Content-Length.
			}
			lean := faulty.Request{Target: fat.Target}
			replies := h.raw(fat, lean, fat, lean)
			for i, want := range []string{"you sent: fat", "you sent: ", "you sent: fat", "you sent: "} {
				require.Equal(t, want, string(replies[i].Body), "body of reply %d", i)
			}
			require.Contains(t, replies[3].Header.Get("Cache-Status"), "; hit")
		}
	})
}

// collidingStorage is a Storage in which all keys have the same hash.
type collidingStorage struct{ cirque.StreamingStorage }

var collision = cirque.HashBinary{1}

func (c collidingStorage) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	return c.StreamingStorage.Lookup(ctx, key.WithPrimaryHash(collision))
}

func (c collidingStorage) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	return c.StreamingStorage.MissHandler(ctx, key.WithPrimaryHash(collision), meta, opts)
}

// Two URLs whose hashes collide are told apart, among stored entries and among writes under way
// (haproxy/haproxy#988).
func TestAttackCollidingHashesAreToldApart(t *testing.T) {
	var hold chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		fresh(r.URL.Path)(w, r)
		if r.URL.Path == "/slow" {
			http.NewResponseController(w).Flush()
			<-hold
		}
	}
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			store := collidingStorage{memcache.New(memcache.Config{})}
			h := newHarness(t, door, middleware.Config{Storage: store}, origin)
			var release func()
			hold, release = gate(t)
			h.client.Timeout = 10 * time.Second
			for range 3 {
				for _, path := range []string{"/a", "/b"} {
					require.Equal(t, path, h.get(path).body)
				}
			}
			// This write is under way until release is called.
			resp, err := h.client.Get(h.front.URL + "/slow")
			require.NoError(t, err)
			require.Equal(t, "/c", h.get("/c").body)
			release()
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			resp.Body.Close()
			require.Equal(t, "/slow", string(body))
		})
	}
}

// The hash of a key is cryptographic, so that nobody can find collisions.
func TestAttackKeyHashIsCryptographic(t *testing.T) {
	key := cirque.NewCacheKey("namespace", "primary", "tag")
	sum := sha256.Sum256(key.AppendIdentity(nil))
	require.Equal(t, cirque.HashBinary(sum[:16]), key.PrimaryHash())
}

// Connection cannot remove a field that the response varies on: the sender could otherwise fill the
// variant of other clients.
func TestAttackConnectionCannotRemoveAVaryField(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-Auth")
		fresh(fmt.Sprintf("for %q", r.Header.Get("X-Auth")))(w, r)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, connection := range []string{"X-Auth", "x-auth", "close, X-Auth", "keep-alive\r\nConnection: X-Auth"} {
			h.raw(faulty.Request{Target: "/", Fields: []string{"X-Auth: admin", "Connection: " + connection}})
			require.Equal(t, `for "admin"`, h.get("/", "X-Auth", "admin").body, connection)
			require.Equal(t, `for ""`, h.get("/").body, connection)
			require.NoError(t, h.purge("/"))
		}
	})
}
