package middleware_test

import (
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

func TestWatcherHearsOfRequestsAndPurgesUntilItIsStopped(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		var mu sync.Mutex
		var requests []stats.Request
		var purges []stats.Purge
		var wanted atomic.Bool
		stop := h.cache.Watch(&stats.Watcher{
			Wants:       wanted.Load,
			RequestDone: func(r stats.Request) { mu.Lock(); requests = append(requests, r); mu.Unlock() },
			Purged:      func(p stats.Purge) { mu.Lock(); purges = append(purges, p); mu.Unlock() },
		})
		other := 0
		stopOther := h.cache.Watch(&stats.Watcher{RequestDone: func(stats.Request) { mu.Lock(); other++; mu.Unlock() }})
		seen := func() int { mu.Lock(); defer mu.Unlock(); return len(requests) }

		h.get("/unwanted?q")
		require.Zero(t, seen())
		wanted.Store(true)
		h.get("/a?q")
		h.get("/a?q")
		require.Eventually(t, func() bool { return seen() == 2 }, time.Second, time.Millisecond)
		miss, hit := requests[0], requests[1]
		require.Equal(t, stats.Miss, miss.Result)
		require.Equal(t, stats.Hit, hit.Result)
		require.Regexp(t, `^http://127\.0\.0\.1:\d+/a\?q$`, hit.URL)
		require.Equal(t, "Hit", hit.Phase)
		require.Equal(t, "Miss", miss.Phase)
		require.NotZero(t, hit.Lookup, "lookups are timed")
		require.NotZero(t, miss.Origin)

		request := h.requestFor("/a?q")
		require.NoError(t, h.cache.Purge(t.Context(), request))
		require.ErrorIs(t, h.cache.SoftPurge(t.Context(), request), cirque.ErrNotFound)
		require.NoError(t, h.cache.PurgeGroup(t.Context(), request, "g"))
		require.NoError(t, h.cache.PurgeAll(t.Context()))
		require.Len(t, purges, 4)
		for i, want := range []stats.Purge{
			{Kind: "key", URL: hit.URL},
			{Kind: "key", Soft: true, URL: hit.URL, Err: cirque.ErrNotFound},
			{Kind: "group", URL: hit.URL, Groups: []string{"g"}},
			{Kind: "all"},
		} {
			require.WithinDuration(t, time.Now(), purges[i].At, time.Minute)
			require.ErrorIs(t, purges[i].Err, want.Err)
			want.At, want.Err = purges[i].At, purges[i].Err
			require.Equal(t, want, purges[i])
		}

		stop()
		stop()
		h.get("/b")
		require.Eventually(t, func() bool { mu.Lock(); defer mu.Unlock(); return other == 4 }, time.Second, time.Millisecond)
		require.Equal(t, 2, seen(), "a watcher that was stopped hears nothing")
		stopOther()
	})
}

// An unsafe request that invalidates what is stored is reported as one.
func TestWatcherHearsOfInvalidations(t *testing.T) {
	eachDoor(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {}, func(t *testing.T, h *harness) {
		purges := make(chan stats.Purge, 1)
		defer h.cache.Watch(&stats.Watcher{Purged: func(p stats.Purge) { purges <- p }})()
		h.do("POST", "/form")
		p := <-purges
		require.Equal(t, "invalidation", p.Kind)
		require.Regexp(t, `^http://127\.0\.0\.1:\d+/form$`, p.URL)
		require.ErrorIs(t, p.Err, cirque.ErrNotFound)
	})
}

func TestFillsAreListedWhileTheyAreUnderWay(t *testing.T) {
	release := make(chan struct{})
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-release
		io.WriteString(w, "later")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		require.Empty(t, h.cache.Fills())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.get("/slow?x")
		}()
		var fills []stats.Fill
		require.Eventually(t, func() bool {
			fills = h.cache.Fills()
			return len(fills) == 1 && fills[0].Written == 5 && fills[0].Readers == 1
		}, 5*time.Second, time.Millisecond)
		require.Regexp(t, `^http://127\.0\.0\.1:\d+/slow\?x$`, fills[0].URL)
		require.Equal(t, 200, fills[0].Status)
		require.EqualValues(t, 10, fills[0].Length)
		require.False(t, fills[0].Background)
		require.WithinDuration(t, time.Now(), fills[0].Began, time.Minute)
		release <- struct{}{}
		<-done
		require.NoError(t, h.cache.Wait(t.Context()))
		require.Empty(t, h.cache.Fills())
	})
}

// A watcher that wants nothing costs a hit no allocation.
func TestHitsOfAnIdleWatcherDoNotAllocateMore(t *testing.T) {
	cost := func(watched bool) float64 {
		c, err := middleware.New(middleware.Config{})
		require.NoError(t, err)
		if watched {
			defer c.Watch(&stats.Watcher{Purged: func(stats.Purge) {}})()
			defer c.Watch(&stats.Watcher{Wants: func() bool { return false }, RequestDone: func(stats.Request) {}})()
		}
		front := c.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
		}))
		r, err := http.NewRequest("GET", "http://a.example/", nil)
		require.NoError(t, err)
		return testing.AllocsPerRun(1000, func() { front.ServeHTTP(&nullWriter{}, r) })
	}
	require.Equal(t, cost(false), cost(true))
}

type nullWriter struct{ header http.Header }

func (w *nullWriter) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}
func (w *nullWriter) WriteHeader(int)             {}
func (w *nullWriter) Write(p []byte) (int, error) { return len(p), nil }
