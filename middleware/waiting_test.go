package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// personalOrigin is an origin with one page per user, told apart by credentials that Vary does not
// name. A header takes it a second and, if the path says so, the body ten more.
type personalOrigin struct {
	credentials string // the name of the field

	mu       sync.Mutex
	granted  http.Header
	statuses map[int]int // the number of answers by status
}

func (p *personalOrigin) grant(lines ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.granted, p.statuses = http.Header{}, map[int]int{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		p.granted.Add(name, value)
	}
}

// answers returns the number of answers by status since its last call.
func (p *personalOrigin) answers() map[int]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	answers := p.statuses
	p.statuses = map[int]int{}
	return answers
}

func (p *personalOrigin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Second)
	user := r.Header.Get(p.credentials)
	status := http.StatusOK
	p.mu.Lock()
	for name, values := range p.granted {
		w.Header()[name] = values
	}
	w.Header().Set("Etag", fmt.Sprintf("%q", user))
	if strings.Contains(r.Header.Get("If-None-Match"), w.Header().Get("Etag")) {
		status = http.StatusNotModified
	}
	p.statuses[status]++
	p.mu.Unlock()
	w.WriteHeader(status)
	if status == http.StatusNotModified {
		return
	}
	if strings.HasSuffix(r.URL.Path, "/slow") {
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Second)
	}
	io.WriteString(w, "page of "+user)
}

// mustBeValidated are header lines that forbid reuse without validation.
var mustBeValidated = map[string][]string{
	"no-cache":                    {"Cache-Control: no-cache"},
	"no-cache, with a lifetime":   {"Cache-Control: no-cache, max-age=60"},
	"no lifetime":                 {"Cache-Control: max-age=0, must-revalidate"},
	"no lifetime, stale-if-error": {"Cache-Control: max-age=0, stale-if-error=60"},
	"no shared lifetime":          {"Cache-Control: s-maxage=0"},
	"public without a lifetime":   {"Cache-Control: public, max-age=0"},
	"no field":                    nil,
	"expired":                     {"Expires: 0"},
	"age equal to the lifetime":   {"Cache-Control: max-age=60", "Age: 60"},
}

// Users ask at once for a page that must be validated before it is reused. Each gets an answer of
// its own (RFC 9111 §4, §5.2.2.4), at once and together, and later requests do not queue.
func TestWaitingUsersGetTheirOwnPages(t *testing.T) {
	for _, credentials := range []string{"Cookie", "Authorization"} {
		for name, granted := range mustBeValidated {
			t.Run(credentials+" "+name, func(t *testing.T) {
				eachMemoryStorage(t, func(t *testing.T, _ bool, storage func() cirque.Storage) {
					for _, path := range []string{"/", "/slow"} {
						origin := &personalOrigin{credentials: credentials}
						eachBubbleOver(t, middleware.Config{}, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
							origin.grant(granted...)
							users := func(n int) []string { return []string{credentials, fmt.Sprint("user", n)} }
							// The time of a page, and of waiting for the first answer.
							page, queued := time.Second, time.Second
							if path == "/slow" {
								page += 10 * time.Second
							}
							for stage, forgotten := range []bool{true, false, true} {
								if forgotten {
									time.Sleep(time.Hour) // The predictor forgets.
								}
								bodies, took := b.crowd(path, users)
								for n, body := range bodies {
									require.Equal(t, fmt.Sprint("page of user", n), body, "stage %d", stage)
								}
								want := page
								if forgotten {
									want += queued
								}
								require.LessOrEqual(t, took, want, "stage %d", stage)
							}
						})
					}
				})
			})
		}
	}
}

// Users who share a page that must be validated for each use cost the origin one body, if the
// Storage streams or had the page before.
func TestWaitingUsersOfOnePageShareItsBody(t *testing.T) {
	for name, granted := range mustBeValidated {
		t.Run(name, func(t *testing.T) {
			eachMemoryStorage(t, func(t *testing.T, streams bool, storage func() cirque.Storage) {
				origin := &personalOrigin{credentials: "Cookie"}
				eachBubbleOver(t, middleware.Config{}, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
					origin.grant(granted...)
					user := func(int) []string { return []string{"Cookie", "all"} }
					check := func() {
						bodies, _ := b.crowd("/slow", user)
						for _, body := range bodies {
							require.Equal(t, "page of all", body)
						}
						require.NoError(t, b.cache.Wait(t.Context()))
					}
					check()
					if first := origin.answers(); streams {
						require.Equal(t, map[int]int{200: 1, 304: 19}, first)
					}
					for _, pause := range []time.Duration{0, time.Hour} {
						time.Sleep(pause)
						check()
						require.Equal(t, map[int]int{304: 20}, origin.answers())
					}
				})
			})
		})
	}
}

// A response that may be served while it is revalidated (RFC 5861 §3) is fetched once for all
// waiters, each time. A request a moment later would get it as well.
func TestWaitingUsersShareStaleWhileRevalidate(t *testing.T) {
	eachMemoryStorage(t, func(t *testing.T, _ bool, storage func() cirque.Storage) {
		origin := &personalOrigin{credentials: "Cookie"}
		eachBubbleOver(t, middleware.Config{}, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
			origin.grant("Cache-Control: max-age=0, stale-while-revalidate=60")
			for range 3 {
				b.crowd("/", func(int) []string { return nil })
				require.NoError(t, b.cache.Wait(t.Context()))
				require.Equal(t, 1, origin.answers()[http.StatusOK])
				require.NoError(t, b.purge(t.Context()))
			}
		})
	})
}

// Once the origin grants a lifetime, requests share one answer again.
func TestWaitingUsersShareAgainOnceALifetimeIsGranted(t *testing.T) {
	eachMemoryStorage(t, func(t *testing.T, _ bool, storage func() cirque.Storage) {
		for _, what := range []string{"304", "200"} {
			origin := &personalOrigin{credentials: "Cookie"}
			eachBubbleOver(t, middleware.Config{}, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
				origin.grant("Cache-Control: no-cache")
				everybody := func(int) []string { return []string{"Cookie", "all"} }
				b.crowd("/", everybody)
				origin.grant("Cache-Control: max-age=10")
				user := "all"
				if what == "200" {
					user = "another"
				}
				require.Equal(t, "page of "+user, b.get("/", "Cookie", user).body)
				require.NoError(t, b.cache.Wait(t.Context()))
				require.Contains(t, b.get("/").status(), "; hit")
				time.Sleep(11 * time.Second)
				origin.answers()
				b.crowd("/", everybody)
				asked := 0
				for _, n := range origin.answers() {
					asked += n
				}
				require.Equal(t, 1, asked, "all requests must share one fetch")
			})
		}
	})
}

// A slow origin's delay, or the body, may use up the lifetime. Those who waited meanwhile still
// share the response, unless using it stale is forbidden (RFC 9111 §4.2.4).
func TestWaitingUsersShareALifetimeUsedUpWhileWaiting(t *testing.T) {
	for cc, shared := range map[string]bool{
		"max-age=1":                  true,
		"public, max-age=1":          true,
		"max-age=1, must-revalidate": false,
		"s-maxage=1":                 false,
		"max-age=2, must-revalidate": true, // still fresh when the header comes
	} {
		for _, path := range []string{"/", "/slow"} {
			t.Run(cc+" "+path, func(t *testing.T) {
				eachMemoryStorage(t, func(t *testing.T, streams bool, storage func() cirque.Storage) {
					origin := &personalOrigin{credentials: "Cookie"}
					eachBubbleOver(t, middleware.Config{LockWait: time.Hour}, storage, origin.ServeHTTP, func(t *testing.T, b *bubble) {
						origin.grant("Cache-Control: " + cc)
						b.crowd(path, func(int) []string { return nil })
						asked := 0
						for _, n := range origin.answers() {
							asked += n
						}
						if shared && (streams || path == "/") || shared && !strings.Contains(cc, "must-revalidate") {
							require.Equal(t, 1, asked)
						} else {
							require.Greater(t, asked, 1)
						}
					})
				})
			})
		}
	}
}

// Over real connections too, each user gets its own page, and later requests do not wait for each
// other.
func TestWaitingUsersGetTheirOwnPagesOverConnections(t *testing.T) {
	for name, cc := range map[string]string{"no-cache": "no-cache", "no lifetime": "max-age=0, must-revalidate", "no field": ""} {
		t.Run(name, func(t *testing.T) {
			var wait chan struct{}
			origin := func(w http.ResponseWriter, r *http.Request) {
				<-wait
				if cc != "" {
					w.Header().Set("Cache-Control", cc)
				}
				w.Header().Set("Etag", fmt.Sprintf("%q", r.Header.Get("Cookie")))
				if r.Header.Get("If-None-Match") == w.Header().Get("Etag") {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				io.WriteString(w, "page of "+r.Header.Get("Cookie"))
			}
			eachDoor(t, middleware.Config{LockWait: time.Minute}, origin, func(t *testing.T, h *harness) {
				for stage := range 2 {
					var open func()
					wait, open = gate(t)
					asked := h.requests()
					var all sync.WaitGroup
					for n := range 20 {
						all.Go(func() {
							user := fmt.Sprint("user=", n)
							if r := h.try(http.MethodGet, "/", "Cookie", user); r.err != nil || r.body != "page of "+user {
								t.Errorf("stage %d: %s got %q, %v", stage, user, r.body, r.err)
							}
						})
					}
					first := 1
					if stage > 0 {
						first = 20 // The key is known by now: no request waits for another.
					}
					eventually(t, func() bool { return h.requests() == asked+first }, "the requests reach the origin")
					open()
					all.Wait()
					require.Equal(t, asked+20, h.requests())
				}
			})
		})
	}
}

// lateStorage holds up lookups with its gate.
type lateStorage struct {
	cirque.StreamingStorage
	gate func()
}

func (s lateStorage) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s.gate()
	return s.StreamingStorage.Lookup(ctx, key)
}

// A slow lookup may find a response that came after the request read the clock. If that response
// has no lifetime, it is not fresh for this request either (RFC 9111 §4.2: the lifetime must exceed
// the age, and an age is never negative).
func TestSlowLookupDoesNotReuseALaterResponse(t *testing.T) {
	for name, granted := range mustBeValidated {
		t.Run(name, func(t *testing.T) {
			for _, door := range []string{"handler", "transport"} {
				t.Run(door, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						var late atomic.Bool
						hold := make(chan struct{})
						storage := lateStorage{memcache.New(memcache.Config{}), func() {
							if late.CompareAndSwap(true, false) {
								<-hold
							}
						}}
						origin := &personalOrigin{credentials: "Cookie"}
						origin.grant(granted...)
						cache := newCache(t, middleware.Config{Storage: storage})
						b := &bubble{t: t, cache: cache, door: serving{cache.Handler(origin)}}
						if door == "transport" {
							b.door = cache.Transport(serving{origin})
						}
						late.Store(true)
						slow := make(chan string)
						go func() { slow <- b.get("/", "Cookie", "bob").body }()
						synctest.Wait() // Bob's lookup is held up.
						time.Sleep(time.Second)
						ann := b.get("/", "Cookie", "ann").body
						require.NoError(t, cache.Wait(t.Context()))
						close(hold)
						bob := <-slow
						require.NotEqual(t, ann, bob)
						require.Contains(t, bob, "bob")
					})
				})
			}
		})
	}
}
