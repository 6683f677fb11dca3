package middleware_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// Close waits for what is under way until its context ends, then ends that too. A request in any
// phase gets an answer or an error; none hangs.
func TestCloseWaitsUntilItsContextEnds(t *testing.T) {
	const fill = 10 * time.Second
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/late": // no header yet
			select {
			case <-time.After(fill):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		case "/long": // part of the body has been sent
			io.WriteString(w, strings.Repeat("long", 1000))
			select {
			case <-time.After(fill):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		io.WriteString(w, "end")
	}
	for name, test := range map[string]struct {
		patience time.Duration
		err      error
	}{
		"the deadline is long enough": {time.Minute, nil},
		"the deadline passes":         {fill / 2, context.DeadlineExceeded},
		"the deadline has passed":     {0, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, middleware.Config{LockWait: time.Hour}, origin, func(t *testing.T, b *bubble) {
				b.get("/")
				require.NoError(t, b.cache.Wait(t.Context()))
				whole := make(chan bool)
				// The second request for a path waits for the first.
				for _, path := range []string{"/late", "/late", "/long", "/long"} {
					go func() {
						response, err := b.ask(t.Context(), http.MethodGet, path)
						if err != nil {
							whole <- false
							return
						}
						defer response.Body.Close()
						body, err := io.ReadAll(response.Body)
						whole <- err == nil && strings.HasSuffix(string(body), "end")
					}()
					synctest.Wait()
				}
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				start := time.Now()
				require.ErrorIs(t, b.cache.Close(ctx), test.err)
				require.Equal(t, min(test.patience, fill), time.Since(start))
				for range 4 {
					if test.err == nil {
						require.True(t, <-whole)
					} else {
						<-whole // a waiter may have got it from the origin
					}
				}
				// From now on hits are served, other requests pass, and nothing is stored.
				require.Contains(t, b.get("/").status(), "; hit")
				for range 2 {
					r := b.get("/new")
					require.Equal(t, "end", r.body)
					require.Contains(t, r.status(), "; detail=closing")
				}
				require.NoError(t, b.cache.Close(t.Context()), "Close may be called again")
			})
		})
	}
}

// Close neither waits for an uncacheable response nor ends it.
func TestCloseIgnoresUncacheableResponses(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "first, ")
		w.(http.Flusher).Flush()
		select {
		case <-time.After(time.Minute):
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "last")
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		response, err := b.ask(t.Context(), http.MethodGet, "/")
		require.NoError(t, err)
		defer response.Body.Close()
		first := make([]byte, len("first, "))
		_, err = io.ReadFull(response.Body, first)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, b.cache.Close(t.Context()))
		require.Zero(t, time.Since(start))
		rest, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Equal(t, "last", string(rest))
	})
}

// Close does not wait for a client that does not read, once its response is stored.
func TestCloseDoesNotWaitForSlowClients(t *testing.T) {
	eachBubble(t, middleware.Config{}, fresh(strings.Repeat("x", 100)), func(t *testing.T, b *bubble) {
		response, err := b.ask(t.Context(), http.MethodGet, "/")
		require.NoError(t, err)
		synctest.Wait()
		start := time.Now()
		require.NoError(t, b.cache.Close(t.Context()))
		require.Zero(t, time.Since(start))
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Len(t, body, 100)
	})
}

// A background revalidation whose origin hangs ends after FillIdle, or with Close.
func TestHangingRevalidationEndsAfterFillIdleOrWithClose(t *testing.T) {
	var asked, ended atomic.Int32
	origin := func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			<-r.Context().Done()
			ended.Add(1)
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=36000")
		io.WriteString(w, "old")
	}
	cfg := middleware.Config{FillIdle: time.Minute, MaxRevalidations: 1}
	eachBubble(t, cfg, origin, func(t *testing.T, b *bubble) {
		asked.Store(0)
		ended.Store(0)
		b.get("/")
		for n := range int32(3) {
			time.Sleep(time.Hour)
			synctest.Wait()
			require.Equal(t, n, ended.Load(), "a revalidation ends when its origin is silent")
			require.Equal(t, "old", b.get("/").body)
			synctest.Wait()
			require.Equal(t, n+2, asked.Load(), "the next revalidation may begin")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.ErrorIs(t, b.cache.Close(ctx), context.Canceled)
		synctest.Wait()
		require.EqualValues(t, 3, ended.Load())
	})
}

// If the origin must be asked again after Close has begun, the second fetch serves its client only.
func TestSecondFetchAfterCloseServesItsClientOnly(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(time.Second)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Etag", `"of nothing that is stored"`)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		io.WriteString(w, "whole")
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		b.get("/")
		time.Sleep(2 * time.Minute)
		again := make(chan reply)
		go func() { again <- b.get("/") }()
		synctest.Wait()
		require.NoError(t, b.cache.Close(t.Context()))
		r := <-again
		require.NoError(t, r.err)
		require.Equal(t, http.StatusOK, r.StatusCode)
		require.Equal(t, "whole", r.body)
		require.Contains(t, r.status(), "closing")
		require.NotContains(t, r.status(), "stored")
	})
}

// A handler whose fetch is cancelled returns without writing, or without writing all. That is not
// an answer.
func TestCancelledHandlerThatWroteNoHeaderHasNotAnswered(t *testing.T) {
	for begun, body := range map[string][2]string{
		"no byte": {}, "less than is sniffed": {"half"}, "half of it after the cancellation": {"", strings.Repeat("half", 1000)},
	} {
		for path, want := range map[string]struct {
			status int
			body   string
		}{
			"/":      {http.StatusServiceUnavailable, "the fetch was cut short\n"},
			"/stale": {http.StatusOK, "old"},
		} {
			t.Run(begun+path, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cache := newCache(t, middleware.Config{})
					hang := false
					b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						w.Header().Set("Cache-Control", "max-age=1, stale-if-error=600")
						if !hang {
							io.WriteString(w, "old")
							return
						}
						io.WriteString(w, body[0])
						<-r.Context().Done()
						io.WriteString(w, body[1])
					}))}}
					b.get("/stale")
					time.Sleep(time.Minute)
					hang = true
					got := make(chan reply)
					go func() { got <- b.get(path) }()
					synctest.Wait()
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					defer cancel()
					require.ErrorIs(t, cache.Close(ctx), context.DeadlineExceeded)
					r := <-got
					require.NoError(t, r.err)
					require.Equal(t, want.status, r.StatusCode)
					require.Equal(t, want.body, r.body)
				})
			})
		}
	}
}

// A POST may change something at the origin. Close waits for it. If that takes too long, the POST
// goes on for its client and its answer is not stored.
func TestCloseDoesNotCutAPostShort(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
				panic(http.ErrAbortHandler)
			}
		}
		w.Header().Set("Cache-Control", "max-age=3600")
		w.Header().Set("Content-Location", "http://example.com/")
		io.WriteString(w, r.Method)
	}
	for name, test := range map[string]struct {
		patience time.Duration
		err      error
		status   string
	}{
		"the deadline is long enough": {time.Hour, nil, "; stored"},
		"the deadline passes":         {time.Second, context.DeadlineExceeded, "; detail=closing"},
	} {
		t.Run(name, func(t *testing.T) {
			eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
				answers := make(chan reply, 1)
				go func() {
					response, err := b.ask(t.Context(), http.MethodPost, "/")
					if err != nil {
						answers <- reply{err: err}
						return
					}
					answers <- readReply(response)
				}()
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), test.patience)
				defer cancel()
				start := time.Now()
				require.ErrorIs(t, b.cache.Close(ctx), test.err)
				require.Equal(t, min(test.patience, time.Minute), time.Since(start))
				posted := <-answers
				require.NoError(t, posted.err)
				require.Equal(t, http.MethodPost, posted.body)
				require.Contains(t, posted.status(), test.status)
				want := http.MethodGet
				if test.err == nil {
					want = http.MethodPost
				}
				require.Equal(t, want, b.get("/").body)
			})
		})
	}
}
