package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// The connection tells the scheme of a request, not what its absolute form claims: an unsafe request makes invalid what a
// GET for the same would find.
func TestAbsoluteFormInvalidatesWhatItIsFor(t *testing.T) {
	n := 0
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		fresh(fmt.Sprint(n))(w, r)
	}))
	ask := func(method, target string) string {
		r := httptest.NewRequest(method, target, nil)
		r.TLS = nil // which httptest sets by the target
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Body.String()
	}
	for i, target := range []string{"/x", "http://example.com/x", "https://example.com/x"} {
		want := fmt.Sprint(2*i + 1)
		require.Equal(t, want, ask(http.MethodGet, "/x"))
		require.Equal(t, want, ask(http.MethodGet, target))
		ask(http.MethodPut, target)
	}
	require.NoError(t, cache.Close(t.Context()))
}

// What an unsafe request has done stays done though its client has left.
func TestInvalidationOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		cache, err := middleware.New(middleware.Config{})
		require.NoError(t, err)
		b := &bubble{t: t, cache: cache, door: serving{cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				time.Sleep(time.Second)
			}
			n++
			fresh(fmt.Sprint(n))(w, r)
		}))}}
		require.Equal(t, "1", b.get("/").body)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err = b.ask(ctx, http.MethodPost, "/")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, cache.Wait(t.Context()))
		require.Equal(t, "3", b.get("/").body)
	})
}
