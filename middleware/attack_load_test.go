package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// Attacks by number and size.

// Many clients of one endless body share a window of fixed size. The fetch ends when the last
// client leaves (CVE-2026-2581).
func TestAttackEndlessBodyHeldInAWindow(t *testing.T) {
	const clients, each = 20, 4 << 20
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			ended := make(chan struct{}, clients)
			hold, release := gate(t)
			var asked atomic.Int32
			h, _ := newFaultyHarness(t, door, middleware.Config{MaxBytes: 2 << 20, MaxObjectBytes: 1 << 20}, func(*http.Request) faulty.Answer {
				asked.Add(1)
				return faulty.Answer{
					Length: faulty.Endless, Framing: faulty.Chunked, Header: http.Header{"Cache-Control": {"max-age=60"}},
					Hold: hold, At: 1, // The origin waits here until all clients have come.
					Done: func(int64, error) { ended <- struct{}{} },
				}
			})
			var come, done sync.WaitGroup
			come.Add(clients)
			for range clients {
				done.Go(func() {
					resp, err := h.client.Get(h.front.URL + "/endless")
					come.Done()
					if err != nil {
						t.Error(err)
						return
					}
					defer resp.Body.Close()
					if n, err := io.CopyN(io.Discard, resp.Body, each); err != nil {
						t.Errorf("reading failed after %d bytes: %v", n, err)
					}
				})
			}
			come.Wait()
			release()
			var most uint64
			finished := make(chan struct{})
			go func() { done.Wait(); close(finished) }()
			for running := true; running; {
				select {
				case <-finished:
					running = false
				case <-time.After(20 * time.Millisecond):
					var m runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&m)
					most = max(most, m.HeapAlloc)
				}
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Fatal("the origin still sends though all clients have left")
			}
			require.EqualValues(t, 1, asked.Load())
			require.Less(t, most, uint64(2<<20+24<<20), "the heap holds more than the cache's limit and a window")
		})
	}
}

// A field with as many values as an attacker likes leaves few variants stored
// (varnishcache/varnish-cache#1120).
func TestAttackManyVaryValuesLeaveFewVariants(t *testing.T) {
	values := 300
	if longTests() {
		values = 100_000
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-V")
		fresh(r.Header.Get("X-V"))(w, r)
	}
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			store, manager := newStore(t, 64<<20)
			h := newHarness(t, door, middleware.Config{Storage: store, Eviction: manager}, origin)
			for n := range values {
				v := fmt.Sprint(n)
				require.Equal(t, v, h.get("/", "X-V", v).body)
			}
			// One more for the vary record.
			require.LessOrEqual(t, store.Len(), cirque.MaxVariants+1)
			last := fmt.Sprint(values - 1)
			require.Contains(t, h.get("/", "X-V", last).status(), "; hit")
		})
	}
}

// PURGE needs an authoriser that allows it; by default there is none (openai/pixel#33).
func TestAttackPurgeNeedsAnAuthoriser(t *testing.T) {
	authorisers := map[string]func(*http.Request) bool{
		"none": nil,
		"one":  func(r *http.Request) bool { return r.Header.Get("X-Admin") == "secret" },
	}
	for name, authorise := range authorisers {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, "handler", middleware.Config{AuthorizePurge: authorise}, fresh("page"))
			h.get("/")
			for _, header := range [][]string{nil, {"X-Admin", "guess"}, {"Soft-Purge", "1"}, {"X-Http-Method-Override", "PURGE"}} {
				require.Equal(t, http.StatusForbidden, h.do("PURGE", "/", header...).StatusCode)
				require.Contains(t, h.get("/").status(), "; hit; ttl=")
			}
			require.Equal(t, 1, h.requests(), "a refused PURGE must not reach the origin")
			if authorise != nil {
				require.Equal(t, http.StatusOK, h.do("PURGE", "/", "X-Admin", "secret").StatusCode)
				require.NotContains(t, h.get("/").status(), "; hit")
			}
		})
	}
	t.Run("transport", func(t *testing.T) {
		h := newHarness(t, "transport", middleware.Config{AuthorizePurge: always}, fresh("page"))
		h.get("/")
		// At a Transport, PURGE is a method like any other.
		require.NotContains(t, h.do("PURGE", "/").status(), "; hit")
	})
}

// Thousands of clients that miss at once cause one fetch.
func TestAttackStampedeCausesOneFetch(t *testing.T) {
	const clients = 2000
	var hold chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		<-hold
		fresh("page")(w, r)
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		var release func()
		hold, release = gate(t)
		var done, begun sync.WaitGroup
		var served atomic.Int32
		begun.Add(clients)
		for range clients {
			done.Go(func() {
				begun.Done()
				w := httptest.NewRecorder()
				h.front.Config.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
				if w.Body.String() == "page" {
					served.Add(1)
				}
			})
		}
		begun.Wait()
		eventually(t, func() bool { return h.requests() == 1 }, "the first client reaches the origin")
		// The others queue meanwhile, or come later and find the answer.
		time.Sleep(50 * time.Millisecond)
		release()
		done.Wait()
		require.EqualValues(t, clients, served.Load())
		require.Equal(t, 1, h.requests())
	})
}

// A client that reads one byte at a time delays neither the fetch nor other clients.
func TestAttackSlowClientDelaysNobody(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 128<<10) // 2 MiB: more than sockets buffer
	for _, limit := range []int64{64 << 20, 4 << 20} {
		t.Run(fmt.Sprintf("%d MiB", limit>>20), func(t *testing.T) {
			for _, door := range []string{"handler", "transport"} {
				t.Run(door, func(t *testing.T) {
					fetched := make(chan struct{}, 10)
					cfg := middleware.Config{MaxBytes: limit, MaxObjectBytes: limit - limit/4}
					h, origin := newFaultyHarness(t, door, cfg, func(*http.Request) faulty.Answer {
						return faulty.Answer{
							Body: body, Header: http.Header{"Cache-Control": {"max-age=60"}}, Delay: 50 * time.Millisecond,
							Done: func(int64, error) { fetched <- struct{}{} },
						}
					})
					ctx, cancel := context.WithCancel(t.Context())
					var slow sync.WaitGroup
					for range 4 {
						slow.Go(func() {
							client := faulty.Client{Behaviour: faulty.DripReading, Drip: faulty.Drip{Bytes: 1, Every: time.Second}}
							_, _ = client.Do(ctx, h.front.URL+"/")
						})
					}
					eventually(t, func() bool { return origin.Total() == 1 }, "a slow client reaches the origin")
					require.Equal(t, body, h.get("/").body)
					<-fetched
					cancel()
					slow.Wait()
					require.Contains(t, h.get("/").status(), "; hit")
					require.Equal(t, 1, origin.Total())
				})
			}
		})
	}
}
