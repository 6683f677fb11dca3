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
	"github.com/cirquecache/cirque/rules"
)

// Two hundred clients ask for one URL that is not stored. The origin is asked once, and every
// client has its first byte while the origin is still sending.
func TestConcurrentMissesShareOneFillWhileItStreams(t *testing.T) {
	const clients = 200
	var release chan struct{}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "first\n")
		http.NewResponseController(w).Flush()
		<-release
		io.WriteString(w, "last\n")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
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
					errs <- fmt.Errorf("read the first line %q: %w", line, err)
					return
				}
				rest, err := io.ReadAll(body)
				if err != nil || string(rest) != "last\n" {
					errs <- fmt.Errorf("read the rest %q: %w", rest, err)
				}
			})
		}
		started.Wait() // Every client has its first byte; the origin has not sent its last.
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

// An uncacheable answer releases all waiters at once. Each gets an answer of its own, and the key
// is remembered.
func TestUncacheableAnswerReleasesAllWaitersAtOnce(t *testing.T) {
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
			time.Sleep(50 * time.Millisecond) // long enough for the others to come in beside it
		}
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "yours")
		mu.Lock()
		inside--
		mu.Unlock()
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
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
		eventually(t, func() bool { return h.requests() == 1 }, "the first client reaches the origin")
		// The others queue meanwhile; if one does not, it passes anyway.
		time.Sleep(20 * time.Millisecond)
		close(gate)
		done.Wait()
		require.Equal(t, clients, h.requests())
		require.Greater(t, most, 1, "waiters must be released together")
		require.NotContains(t, h.get("/private").status(), "stored")
	})
}

// A failed writer hands its turn to one waiter.
func TestFailedWriterHandsItsTurnToOneWaiter(t *testing.T) {
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
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
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
		eventually(t, func() bool { return h.requests() >= 1 }, "the first client reaches the origin")
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
		require.LessOrEqual(t, h.requests(), 3, "one fetch fails and one succeeds; net/http may retry the failed one")
	})
}

// A fill that can be stored goes on after its client has left.
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
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		release = make(chan struct{})
		resp, err := h.client.Get(h.front.URL + "/x")
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 100))
		require.NoError(t, err)
		resp.Body.Close() // This closes the client's connection too.
		h.client.CloseIdleConnections()
		time.Sleep(20 * time.Millisecond)
		close(release)
		eventually(t, func() bool { return strings.Contains(h.get("/x").status(), "; hit") }, "the entry is stored")
		require.Equal(t, 1, h.requests())
		require.Len(t, h.get("/x").body, 200)
	})
}

// The fetch of an uncacheable response ends with its client.
func TestUncacheableFetchEndsWithItsClient(t *testing.T) {
	gone := make(chan struct{}, 1)
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "data: 1\n\n")
		http.NewResponseController(w).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		resp, err := h.client.Get(h.front.URL + "/events")
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 9))
		require.NoError(t, err)
		resp.Body.Close()
		select {
		case <-gone:
		case <-time.After(10 * time.Second):
			t.Fatal("the origin still serves a client that has left")
		}
	})
}

// A request may wait for another's fill and then be fetched by itself: it needs another variant, or
// a hit filter refuses the entry. Its Cache-Status does not say collapsed.
func TestWaiterThatFetchesItselfIsNotReportedCollapsed(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/vary" {
			w.Header().Set("Vary", "X-V")
		}
		io.WriteString(w, "for "+r.Header.Get("X-V"))
	}
	cfg := middleware.Config{HitFilter: func(r *http.Request, _ *cirque.CacheMeta) rules.ForcedFreshness {
		if r.Header.Get("X-V") == "picky" {
			return rules.ForceMiss
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
