package middleware_test

//lint:file-ignore SA1019 http.Client sets Cancel for its Timeout

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// The timeout of one http.Client ends that client's request. The fetch goes on for the clients that
// read along.
func TestClientTimeoutDoesNotEndTheFill(t *testing.T) {
	for _, moment := range []string{"before the header", "in the body"} {
		t.Run(moment, func(t *testing.T) {
			hold, open := gate(t)
			var asked atomic.Int32
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				if moment == "in the body" {
					io.WriteString(w, "one ")
					http.NewResponseController(w).Flush()
				}
				select {
				case <-hold:
				case <-r.Context().Done():
					return
				}
				io.WriteString(w, "two")
			}))
			defer origin.Close()
			cache := newCache(t, middleware.Config{})
			transport := cache.Transport(&http.Transport{})
			ask := func(timeout time.Duration) (string, error) {
				client := &http.Client{Transport: transport, Timeout: timeout}
				response, err := client.Get(origin.URL)
				if err != nil {
					return "", err
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				return string(body), err
			}
			impatient := make(chan error)
			go func() { _, err := ask(300 * time.Millisecond); impatient <- err }()
			eventually(t, func() bool { return asked.Load() == 1 }, "the first request reaches the origin")
			patient := make(chan string)
			go func() { body, err := ask(0); patient <- fmt.Sprint(body, err) }()
			require.Error(t, <-impatient)
			open()
			want := map[bool]string{true: "one two<nil>", false: "two<nil>"}[moment == "in the body"]
			require.Equal(t, want, <-patient)
			require.NoError(t, cache.Wait(t.Context()))
			require.EqualValues(t, 1, asked.Load())
			got, err := ask(time.Minute)
			require.NoError(t, err)
			require.Equal(t, want, got+"<nil>")
			require.EqualValues(t, 1, asked.Load())
		})
	}
}

// A client's Cancel channel ends its own wait for a header, for the lock, or for more of a body.
// The origin's request has no such channel, and no goroutine is left.
func TestTransportCancelChannelEndsItsOwnRequestOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		door := cache.Transport(serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Cancel != nil {
				t.Error("the fetch must not have the client's Cancel channel")
			}
			w.Header().Set("Cache-Control", "max-age=600")
			if r.URL.Path == "/body" {
				io.WriteString(w, "one ")
				w.(http.Flusher).Flush()
			}
			time.Sleep(20 * time.Second)
			io.WriteString(w, "two")
		})})
		request := func(path string) (*http.Request, func()) {
			r := httptest.NewRequest(http.MethodGet, "http://example.com"+path, nil)
			cancel := make(chan struct{})
			r.Cancel = cancel
			return r, func() { close(cancel) }
		}
		start := time.Now()
		failed := make(chan error, 3)
		for range cap(failed) { // The first one fetches, the others wait for it.
			r, cancel := request("/header")
			go func() { _, err := door.RoundTrip(r); failed <- err }()
			time.AfterFunc(time.Second, cancel)
		}
		for range cap(failed) {
			require.ErrorIs(t, <-failed, context.Canceled)
		}
		require.Equal(t, time.Second, time.Since(start))

		r, cancel := request("/body")
		response, err := door.RoundTrip(r)
		require.NoError(t, err)
		require.Same(t, r, response.Request)
		time.AfterFunc(time.Second, cancel)
		body, err := io.ReadAll(response.Body)
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, "one ", string(body))
		require.NoError(t, response.Body.Close())

		require.NoError(t, cache.Wait(t.Context()))
		for path, want := range map[string]string{"/header": "two", "/body": "one two"} {
			r, _ := request(path) // this Cancel channel is never closed
			response, err := door.RoundTrip(r)
			require.NoError(t, err)
			require.Contains(t, response.Header.Get("Cache-Status"), "; hit")
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, want, string(body))
			require.NoError(t, response.Body.Close())
		}
		synctest.Wait()
	})
}

// A fetch that serves one client only ends with that client, even before an answer: for a key that
// has proved uncacheable, a request with no-store, and a HEAD.
func TestFetchForOneClientEndsWithThatClient(t *testing.T) {
	var slow, open atomic.Int32
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Path == "/cacheable" {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		if slow.Load() == 0 {
			return
		}
		open.Add(1)
		defer open.Add(-1)
		select {
		case <-r.Context().Done():
		case <-time.After(20 * time.Second):
		}
	}
	for name, c := range map[string]struct {
		method, path string
		header       []string
	}{
		"key known as uncacheable": {"GET", "/poll", nil},
		"request with no-store":    {"GET", "/cacheable?1", []string{"Cache-Control", "no-store"}},
		"HEAD":                     {"HEAD", "/cacheable?2", nil},
	} {
		t.Run(name, func(t *testing.T) {
			eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
				slow.Store(0)
				if c.path == "/poll" {
					h.get(c.path)
				}
				slow.Store(1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				left := make(chan error)
				const clients = 30
				for range clients {
					go func() {
						r, _ := http.NewRequestWithContext(ctx, c.method, h.front.URL+c.path, nil)
						addFields(r.Header, c.header)
						response, err := h.client.Do(r)
						if err == nil {
							response.Body.Close()
						}
						left <- err
					}()
				}
				eventually(t, func() bool { return open.Load() == clients }, "all requests reach the origin at once")
				cancel()
				for range clients {
					require.ErrorIs(t, <-left, context.Canceled)
				}
				require.Eventually(t, func() bool { return open.Load() == 0 }, 5*time.Second, time.Millisecond, "no fetch goes on without its client")
			})
		})
	}
}

// A fetch that serves one client becomes the cache's from its header on, if the answer can be
// stored after all.
func TestFetchForOneClientGoesOnIfCacheable(t *testing.T) {
	var cacheable atomic.Bool
	origin := func(w http.ResponseWriter, r *http.Request) {
		if !cacheable.Load() {
			w.Header().Set("Cache-Control", "no-store")
			return
		}
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, "one ")
		w.(http.Flusher).Flush()
		select {
		case <-time.After(20 * time.Second):
			io.WriteString(w, "two")
		case <-r.Context().Done():
		}
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		cacheable.Store(false)
		b.get("/")
		cacheable.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		response, err := b.ask(ctx, http.MethodGet, "/")
		require.NoError(t, err)
		io.ReadFull(response.Body, make([]byte, 4))
		cancel()
		response.Body.Close()
		require.NoError(t, b.cache.Wait(t.Context()))
		r := b.get("/")
		require.NoError(t, r.err)
		require.Equal(t, "one two", r.body)
		require.Contains(t, r.status(), "; hit")
	})
}

// When Close reaches its deadline, it neither waits for a client's own fetch nor cuts it short.
func TestCloseDoesNotEndAFetchForOneClient(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		select {
		case <-time.After(time.Hour):
			io.WriteString(w, "at last")
		case <-r.Context().Done():
		}
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		b.get("/")
		poll := make(chan reply)
		go func() { poll <- b.get("/") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, b.cache.Close(ctx), context.DeadlineExceeded)
		require.Equal(t, "at last", (<-poll).body)
	})
}

// A background revalidation takes from its client's request only what selects the response.
func TestTransportRevalidationOutlivesItsClient(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	page := &staleFirst{say: func(r *http.Request) string {
		return fmt.Sprint(r.URL.Path, " ", r.Header.Get("X-V"), r.Header.Get("Range"), " ", r.Context().Value(contextKey{}) != nil && middleware.IsRefresh(r.Context()))
	}}
	hold, open := gate(t)
	door := cache.Transport(serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.IsRefresh(r.Context()) {
			<-hold
			if r.Context().Err() != nil || r.Cancel != nil {
				t.Error("the revalidation must not be cancelled with its client")
			}
		}
		page.ServeHTTP(w, r)
	})})
	for n, want := range []string{"v1 /a x false", "v1 /a x false", "v2 /a x false"} {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "recycled"))
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/a", nil)
		r.Header.Set("X-V", "x")
		channel := make(chan struct{})
		r.Cancel = channel
		response, err := door.RoundTrip(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, want, string(body), n)
		response.Body.Close()
		close(channel)
		cancel()
		if n == 1 {
			open()
		}
		require.NoError(t, cache.Wait(t.Context()))
	}
}
