package middleware_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// slowly answers after two seconds, with something that may be stored.
func slowly(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(2 * time.Second)
	w.Header().Set("Cache-Control", "max-age=60")
	io.WriteString(w, "at last")
}

// A handler around the cache may set a deadline. When it passes the client is still there, and gets
// an answer, whether the request was waiting for another's fill or caused one, which goes on.
func TestHandlerAnswersAfterADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, err := middleware.New(middleware.Config{})
		require.NoError(t, err)
		door := cache.Handler(http.HandlerFunc(slowly))
		ask := func(deadline time.Duration) *httptest.ResponseRecorder {
			w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
			ctx, cancel := context.WithTimeout(r.Context(), deadline)
			defer cancel()
			door.ServeHTTP(w, r.WithContext(ctx))
			return w
		}
		writer := make(chan *httptest.ResponseRecorder)
		go func() { writer <- ask(1500 * time.Millisecond) }()
		synctest.Wait()

		waiter := ask(time.Second)
		require.Equal(t, http.StatusGatewayTimeout, waiter.Code)
		require.Equal(t, http.StatusGatewayTimeout, (<-writer).Code)

		after := ask(time.Second)
		require.Equal(t, "at last", after.Body.String())
		require.Contains(t, after.Header().Get("Cache-Status"), "; hit")
	})
}

// Who cancels says why, and hears that, whatever the request was waiting for.
func TestTransportReturnsTheCauseOfCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, err := middleware.New(middleware.Config{})
		require.NoError(t, err)
		door := cache.Transport(roundTripFunc(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			slowly(w, nil)
			return w.Result(), nil
		}))
		cause := errors.New("the user went on")
		ctx, cancel := context.WithCancelCause(t.Context())
		errs := make(chan error, 2)
		for range cap(errs) {
			go func() {
				_, err := door.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil))
				errs <- err
			}()
			synctest.Wait() // the second one waits for the first one's fill
		}
		cancel(cause)
		for range cap(errs) {
			require.ErrorIs(t, <-errs, cause)
		}
		require.NoError(t, cache.Wait(t.Context()))
	})
}

// A POST belongs to its client as long as nobody knows whether its answer is of use to others: it
// ends with that client.
func TestPostEndsWithItsClient(t *testing.T) {
	origin := func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, _ = b.ask(ctx, http.MethodPost, "/")
		require.NoError(t, b.cache.Wait(t.Context()))
		require.Equal(t, time.Second, time.Since(start))
	})
}

// After RoundTrip has returned, the request is the caller's to change, though the fetch goes on.
func TestTransportLeavesTheRequestAloneAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, err := middleware.New(middleware.Config{})
		require.NoError(t, err)
		door := cache.Transport(serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Vary", "X-V")
			fresh("x")(w, r)
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.Header.Set("X-V", "1")
		_, err = door.RoundTrip(r.WithContext(ctx))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		r.Header.Set("X-V", "2")
		require.NoError(t, cache.Wait(t.Context()))
		r.Header.Set("X-V", "1")
		response, err := door.RoundTrip(r)
		require.NoError(t, err)
		require.Contains(t, response.Header.Get("Cache-Status"), "; hit")
		require.NoError(t, response.Body.Close())
	})
}
