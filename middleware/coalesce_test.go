package middleware_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// Two hundred clients, one slow cold URL: one fetch, and every client has its first byte while the
// origin is still sending.
func TestConcurrentMissesShareOneFillAsItComes(t *testing.T) {
	const clients = 200
	var release chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "first\n")
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "last\n")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *house) {
		release = make(chan struct{})
		var started, done sync.WaitGroup
		errs := make(chan error, clients)
		for range clients {
			started.Add(1)
			done.Go(func() {
				resp, err := h.client.Get(h.front.URL + "/slow")
				if err != nil {
					started.Done()
					errs <- err
					return
				}
				defer resp.Body.Close()
				body := bufio.NewReader(resp.Body)
				line, err := body.ReadString('\n')
				started.Done()
				if err != nil || line != "first\n" {
					errs <- fmt.Errorf("first line %q: %w", line, err)
					return
				}
				rest, err := io.ReadAll(body)
				if err != nil || string(rest) != "last\n" {
					errs <- fmt.Errorf("rest %q: %w", rest, err)
				}
			})
		}
		started.Wait() // every client has its first byte; the origin has not sent its last
		close(release)
		done.Wait()
		close(errs)
		for err := range errs {
			t.Error(err)
		}
		require.Equal(t, 1, h.requests())
		again := h.get("/slow")
		require.Contains(t, again.status(), "; hit")
		require.Equal(t, "first\nlast\n", again.body)
		require.Equal(t, 1, h.requests())
	})
}

// An uncacheable answer releases all waiters at once, each with an answer of its own, and the key
// is remembered.
func TestUncacheableReleasesWaitersAtOnce(t *testing.T) {
	const clients = 20
	var mu sync.Mutex
	inside, most, calls := 0, 0, 0
	gate := make(chan struct{})
	origin := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		inside++
		calls++
		most = max(most, inside)
		first := calls == 1
		mu.Unlock()
		if first {
			<-gate
		} else {
			time.Sleep(50 * time.Millisecond) // long enough for the others to be let in beside it
		}
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "yours")
		mu.Lock()
		inside--
		mu.Unlock()
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *house) {
		mu.Lock()
		inside, most, calls, gate = 0, 0, 0, make(chan struct{})
		mu.Unlock()
		var done sync.WaitGroup
		for range clients {
			done.Go(func() {
				r := h.get("/private")
				if r.body != "yours" {
					t.Errorf("got %q", r.body)
				}
			})
		}
		eventually(t, func() bool { return h.requests() == 1 }, "the first one asks")
		time.Sleep(20 * time.Millisecond) // the others queue; if some don't, they are let past anyway
		close(gate)
		done.Wait()
		require.Equal(t, clients, h.requests())
		require.Greater(t, most, 1, "waiters were let go one by one")
		require.NotContains(t, h.get("/private").status(), "stored")
	})
}

// A failed writer hands its turn to one waiter.
func TestFailedWriterHandsOver(t *testing.T) {
	var mu sync.Mutex
	calls := 0
	gate := make(chan struct{})
	origin := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		calls++
		first := calls == 1
		mu.Unlock()
		if first {
			<-gate
			panic(http.ErrAbortHandler) // the connection breaks before a header
		}
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "fine")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *house) {
		mu.Lock()
		calls, gate = 0, make(chan struct{})
		mu.Unlock()
		var done sync.WaitGroup
		bodies := make(chan string, 10)
		for range 10 {
			done.Go(func() {
				r := h.do(http.MethodGet, "/f", "X-No-Retry", "1")
				bodies <- fmt.Sprint(r.StatusCode, " ", r.body)
			})
		}
		eventually(t, func() bool { return h.requests() >= 1 }, "the first one asks")
		time.Sleep(20 * time.Millisecond)
		close(gate)
		done.Wait()
		close(bodies)
		fine := 0
		for b := range bodies {
			if b == "200 fine" {
				fine++
			}
		}
		require.GreaterOrEqual(t, fine, 9)
		require.LessOrEqual(t, h.requests(), 3, "one failed, one succeeded; net/http may have retried the failed one")
	})
}

// A client that leaves does not take a cacheable fill with it.
func TestFillOutlivesItsClient(t *testing.T) {
	var release chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, strings.Repeat("a", 100))
		http.NewResponseController(w).Flush()
		select {
		case <-release:
			io.WriteString(w, strings.Repeat("b", 100))
		case <-r.Context().Done():
		}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *house) {
		release = make(chan struct{})
		resp, err := h.client.Get(h.front.URL + "/x")
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 100))
		require.NoError(t, err)
		resp.Body.Close() // gone, the connection too
		h.client.CloseIdleConnections()
		time.Sleep(20 * time.Millisecond)
		close(release)
		eventually(t, func() bool { return strings.Contains(h.get("/x").status(), "; hit") }, "stored")
		require.Equal(t, 1, h.requests())
		require.Len(t, h.get("/x").body, 200)
	})
}

// A client that leaves ends the fetch of what is its alone.
func TestUncacheableEndsWithItsClient(t *testing.T) {
	gone := make(chan struct{}, 1)
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *house) {
		resp, err := h.client.Get(h.front.URL + "/events")
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 9))
		require.NoError(t, err)
		resp.Body.Close()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("the origin still serves a client who is gone")
		}
	})
}

// Who waited for another's fill and then asks for itself, because that was another variant or a hit
// filter will not have it, is not said to have been collapsed.
func TestNotCollapsedAfterAll(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/vary" {
			w.Header().Set("Vary", "X-V")
		}
		io.WriteString(w, "for "+r.Header.Get("X-V"))
	}
	cfg := middleware.Config{HitFilter: func(r *http.Request, _ *cirque.CacheMeta) cirque.ForcedFreshness {
		if r.Header.Get("X-V") == "picky" {
			return cirque.ForceMiss
		}
		return 0
	}}
	eachBubble(t, cfg, origin, func(t *testing.T, b *bubble) {
		for path, c := range map[string]struct{ v, fwd string }{
			"/vary":  {"second", "fwd=vary-miss"},
			"/plain": {"picky", "fwd=miss"},
		} {
			first := make(chan reply)
			go func() { first <- b.get(path, "X-V", "first") }()
			synctest.Wait()
			second := b.get(path, "X-V", c.v)
			require.Equal(t, "for "+c.v, second.body)
			require.Contains(t, second.status(), c.fwd)
			require.NotContains(t, second.status(), "collapsed")
			require.Equal(t, "for first", (<-first).body)
		}
	})
}
