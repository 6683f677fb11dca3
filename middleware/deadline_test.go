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

// slowly answers after two seconds with a response that can be stored.
func slowly(w http.ResponseWriter, _ *http.Request) {
	time.Sleep(2 * time.Second)
	w.Header().Set("Cache-Control", "max-age=60")
	io.WriteString(w, "at last")
}

// A handler around the cache may set a deadline. When it passes the client is still there and gets
// 504, whether it waits for another's fill or caused one. The fill goes on.
func TestHandlerAnswers504AfterADeadlineSetAroundIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
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

// A caller that cancels with a cause gets that cause as the error, whatever the request was waiting
// for.
func TestTransportReturnsTheCauseOfCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
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
			synctest.Wait() // The second request waits for the fill of the first.
		}
		cancel(cause)
		for range cap(errs) {
			require.ErrorIs(t, <-errs, cause)
		}
		require.NoError(t, cache.Wait(t.Context()))
	})
}

// A POST ends with its client as long as it is not known whether its answer can be stored.
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

// After RoundTrip has returned, the caller may change the request, though the fetch goes on.
func TestTransportDoesNotUseTheRequestAfterRoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{})
		door := cache.Transport(serving{http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			w.Header().Set("Vary", "X-V")
			fresh("x")(w, r)
		})})
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.Header.Set("X-V", "1")
		_, err := door.RoundTrip(r.WithContext(ctx))
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
