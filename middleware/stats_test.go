package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// counted is what a Snapshot says of requests, without the zeros.
func counted(s stats.Snapshot) map[string]uint64 {
	counts := map[string]uint64{}
	for door, results := range s.Requests {
		for result, n := range results {
			if n > 0 {
				counts[door.String()+" "+result.String()] += n
			}
		}
	}
	return counts
}

func TestEachRequestCountsOnceUnderItsResult(t *testing.T) {
	var mu sync.Mutex
	var down bool
	origin := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		broken := down
		mu.Unlock()
		h := w.Header()
		switch {
		case broken:
			panic(http.ErrAbortHandler)
		case r.URL.Path == "/private":
			h.Set("Cache-Control", "private")
		case r.URL.Path == "/validated":
			h.Set("Cache-Control", "no-cache")
			h.Set("Etag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		case r.URL.Path == "/stale":
			h.Set("Cache-Control", "max-age=1, stale-if-error=600")
			aged(w, 30*time.Second)
		default:
			h.Set("Cache-Control", "max-age=60")
		}
		io.WriteString(w, strings.Repeat("x", 1000))
	}
	eachDoor(t, middleware.Config{AuthorizePurge: func(*http.Request) bool { return true }}, origin, func(t *testing.T, h *harness) {
		want, bytes := map[string]uint64{}, map[stats.Result]uint64{}
		ask := func(method, path, result string, body uint64, header ...string) {
			t.Helper()
			r, err := http.NewRequest(method, h.front.URL+path, nil)
			require.NoError(t, err)
			addFields(r.Header, header)
			response, err := h.client.Do(r)
			require.NoError(t, err)
			got, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			response.Body.Close()
			want[h.door+" "+result]++
			for _, one := range stats.Results() {
				if one.String() == result {
					bytes[one] += body
					require.Equal(t, body, uint64(len(got)), "the answer to %s %s", method, path)
				}
			}
			require.NoError(t, h.cache.Wait(t.Context()))
		}
		ask("GET", "/a", "miss", 1000)
		ask("GET", "/a", "hit", 1000)
		ask("HEAD", "/a", "hit", 0)
		ask("GET", "/a", "hit", 10, "Range", "bytes=0-9")
		ask("GET", "/private", "pass", 1000)
		ask("HEAD", "/private", "pass", 0)
		ask("GET", "/a", "pass", 1000, "Cache-Control", "no-store, no-cache")
		ask("DELETE", "/other", "bypass", 1000)
		ask("GET", "/validated", "miss", 1000)
		ask("GET", "/validated", "revalidated", 1000)
		ask("GET", "/validated", "revalidated", 0, "If-None-Match", `"1"`)
		ask("GET", "/stale", "miss", 1000)
		mu.Lock()
		down = true
		mu.Unlock()
		ask("GET", "/stale", "stale", 1000)
		if h.door == "transport" { // its proxy makes a 502 of an error
			r, err := http.NewRequest("GET", h.front.URL+"/down", nil)
			require.NoError(t, err)
			response, err := h.client.Do(r)
			require.NoError(t, err)
			response.Body.Close()
			want["transport unanswered"]++
		}
		mu.Lock()
		down = false
		mu.Unlock()

		eventually(t, func() bool {
			return fmt.Sprint(counted(h.cache.Stats())) == fmt.Sprint(want)
		}, "the requests count as they should")
		s := h.cache.Stats()
		for _, result := range stats.Results() {
			require.Equal(t, bytes[result], s.Bytes[result], "bytes of %s", result)
			var requests uint64
			for _, door := range stats.Doors() {
				requests += s.Requests[door][result]
			}
			require.Equal(t, requests, s.Duration[result].Count, "durations of %s", result)
			if result != stats.Unanswered {
				require.Equal(t, requests, s.FirstByte[result].Count, "first bytes of %s", result)
				require.LessOrEqual(t, s.FirstByte[result].Sum, s.Duration[result].Sum)
			}
		}
		require.Equal(t, stats.Outcomes{NotModified: 2, Replaced: 1, Failed: 1}, s.Revalidations.Foreground,
			"/validated twice; /a with no-cache; /stale while the origin is down")
		require.Equal(t, uint64(3), s.Fills.Started)
		require.Equal(t, map[string]uint64{"stored": 3}, s.Fills.Done)
		require.Equal(t, uint64(3000), s.Fills.Bytes)
		require.Zero(t, s.Fills.InFlight)
	})
}

func TestWaitersCountAsCollapsedAndSoDoTheirWaits(t *testing.T) {
	const clients = 10
	eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	}, func(t *testing.T, b *bubble) {
		var wg sync.WaitGroup
		for range clients {
			wg.Go(func() {
				response, err := b.ask(t.Context(), "GET", "/")
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, response.Body)
				require.NoError(t, err)
				response.Body.Close()
			})
		}
		wg.Wait()
		require.NoError(t, b.cache.Wait(t.Context()))
		s := b.cache.Stats()
		door := map[string]string{"true": "handler", "false": "transport"}[fmt.Sprint(strings.HasSuffix(t.Name(), "/handler"))]
		require.Equal(t, map[string]uint64{door + " miss": 1, door + " collapsed": clients - 1}, counted(s))
		require.Len(t, s.LockWaits, 1)
		require.Equal(t, "Done", s.LockWaits[0].Status)
		require.Equal(t, uint64(clients-1), s.LockWaits[0].Time.Count)
		require.InDelta(t, clients-1, s.LockWaits[0].Time.Sum, 0.001)
		require.Equal(t, 1.0, s.FirstByte[stats.Miss].Quantile(0.5))
	})
}

func TestClientWhoLeavesIsUnanswered(t *testing.T) {
	eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		fresh("body")(w, r)
	}, func(t *testing.T, b *bubble) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		response, err := b.ask(ctx, "GET", "/")
		if err == nil {
			response.Body.Close()
		}
		require.NoError(t, b.cache.Wait(t.Context()))
		time.Sleep(2 * time.Second)
		s := b.cache.Stats()
		var requests uint64
		for _, n := range counted(s) {
			requests += n
		}
		require.Equal(t, uint64(1), requests, "%v", counted(s))
		require.Equal(t, map[string]uint64{"stored": 1}, s.Fills.Done, "the fill is the cache's")
	})
}

func TestBackgroundRevalidationIsNoRequest(t *testing.T) {
	var mu sync.Mutex
	var events []stats.Request
	cfg := middleware.Config{Trace: &cirque.CacheTrace{RequestDone: func(r stats.Request) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, r)
	}}}
	eachBubble(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60")
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "body")
	}, func(t *testing.T, b *bubble) {
		events = nil
		for range 2 {
			response, err := b.ask(t.Context(), "GET", "/")
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			response.Body.Close()
			require.NoError(t, b.cache.Wait(t.Context()))
			time.Sleep(2 * time.Second)
		}
		s := b.cache.Stats()
		require.Equal(t, stats.Outcomes{NotModified: 1}, s.Revalidations.Background)
		require.Zero(t, s.Revalidations.Foreground)
		require.Zero(t, s.Revalidations.InFlight)
		require.Equal(t, uint64(1), s.Requests[stats.Handler][stats.Stale]+s.Requests[stats.Transport][stats.Stale])
		require.Len(t, events, 3)
		background := 0
		for _, e := range events {
			require.NotNil(t, e.Request)
			if e.Background {
				background++
				require.Equal(t, stats.Revalidated, e.Result)
			}
		}
		require.Equal(t, 1, background)
	})
}

// A trace hears of revalidations, and can give those in the background a context, whose trace then
// hears of them in place of the request's.
func TestTraceOfTheBackgroundHearsOfTheRevalidation(t *testing.T) {
	type value struct{}
	var mu sync.Mutex
	var heard []string
	var values []any
	reports := func(who string) *cirque.CacheTrace {
		say := func(what string) { // the hooks run on several goroutines
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, who+" "+what)
		}
		return &cirque.CacheTrace{
			LookupDone: func(cirque.TraceEvent) { say("lookup") },
			Revalidated: func(e cirque.TraceEvent) {
				say(fmt.Sprint("revalidated ", e.Status, " ", e.Err != nil, " ", e.Duration, " ", e.Meta.StatusCode()))
			},
			RequestDone: func(r stats.Request) { say(fmt.Sprint("done ", r.Background)) },
		}
	}
	client := reports("client")
	client.Background = func(ctx context.Context) context.Context {
		return context.WithValue(cirque.WithCacheTrace(ctx, reports("background")), value{}, "value")
	}
	var fail func(http.ResponseWriter)
	eachBubble(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		values = append(values, r.Context().Value(value{}))
		time.Sleep(time.Second)
		if fail != nil {
			fail(w)
			return
		}
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=60, stale-if-error=600")
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "body")
	}, func(t *testing.T, b *bubble) {
		values, fail = nil, nil
		ask := func(want ...string) {
			t.Helper()
			heard = nil
			response, err := b.ask(cirque.WithCacheTrace(t.Context(), client), "GET", "/")
			require.NoError(t, err)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
			response.Body.Close()
			require.NoError(t, b.cache.Wait(t.Context()))
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(heard)
			require.Equal(t, want, heard)
		}
		ask("client done false", "client lookup", "client lookup")
		time.Sleep(2 * time.Second)
		ask("background done true", "background lookup", "background revalidated 304 false 1s 200", "client done false", "client lookup")
		require.Equal(t, []any{nil, "value"}, values)
		time.Sleep(90 * time.Second)
		ask("client done false", "client lookup", "client lookup", "client revalidated 304 false 1s 200")
		time.Sleep(90 * time.Second)
		fail = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
		ask("client done false", "client lookup", "client lookup", "client revalidated 502 false 1s 200")
		if strings.HasSuffix(t.Name(), "/transport") { // a Handler's panic is for its server
			fail = func(http.ResponseWriter) { panic(http.ErrAbortHandler) }
			ask("client done false", "client lookup", "client lookup", "client revalidated 0 true 1s 200")
		}
	})
}

func TestUncachedResponsesCountByTheirReason(t *testing.T) {
	reason := "x"
	cfg := middleware.Config{ResponseFilter: func(r *http.Request, _ int, _ http.Header) cirque.NoCacheReason {
		if r.URL.Path == "/filtered" {
			return cirque.Custom(reason)
		}
		return ""
	}}
	h := newHandlerHarness(t, cfg, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/no-store":
			w.Header().Set("Cache-Control", "no-store")
		case "/filtered":
			w.Header().Set("Cache-Control", "max-age=60")
		}
		io.WriteString(w, "x")
	})
	for _, path := range []string{"/no-store", "/no-store", "/filtered", "/none"} {
		h.get(path)
	}
	_, err := h.client.Post(h.front.URL+"/no-store", "text/plain", nil)
	require.NoError(t, err)
	got := h.cache.Stats().Uncached
	require.Equal(t, uint64(1), got["response-filter"], "%v", got)
	var sum uint64
	for _, n := range got {
		sum += n
	}
	require.Equal(t, uint64(5), sum, "%v", got)
}

func TestPurgesCountByKind(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, fresh("x"))
	h.get("/a")
	request := func(path string) *http.Request {
		r, err := http.NewRequest("GET", h.front.URL+path, nil)
		require.NoError(t, err)
		return r
	}
	require.NoError(t, h.cache.Wait(t.Context()))
	require.NoError(t, h.cache.SoftPurge(t.Context(), request("/a")))
	require.NoError(t, h.cache.Purge(t.Context(), request("/a")))
	require.True(t, errors.Is(h.cache.Purge(t.Context(), request("/b")), cirque.ErrNotFound))
	require.NoError(t, h.cache.PurgeAll(t.Context()))
	require.NoError(t, h.cache.PurgeGroup(t.Context(), request("/"), "g"))
	got := map[string]stats.Purges{}
	for _, p := range h.cache.Stats().Purges {
		got[fmt.Sprint(p.Kind, p.Soft)] = p
	}
	require.Equal(t, stats.Purges{Kind: "key", Done: 1, NotFound: 1}, got["keyfalse"])
	require.Equal(t, stats.Purges{Kind: "key", Soft: true, Done: 1}, got["keytrue"])
	require.Equal(t, uint64(1), got["allfalse"].Done)
	require.Equal(t, uint64(1), got["groupfalse"].Done)
}

func TestVariantsAreCountedInASample(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "Accept-Language")
		io.WriteString(w, "x")
	})
	for _, language := range []string{"de", "en", "fr"} {
		h.get("/", "Accept-Language", language)
		require.NoError(t, h.cache.Wait(t.Context()))
	}
	eventually(t, func() bool {
		h.get("/", "Accept-Language", "de")
		return h.cache.Stats().Variants.Count > 3
	}, "lookups of a resource that varies are in the sample")
	variants := h.cache.Stats().Variants
	require.GreaterOrEqual(t, variants.Quantile(1), 3.0)
	require.Less(t, variants.Quantile(1), 4.0)
}
