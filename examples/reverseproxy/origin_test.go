package main

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDemoSite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		site := newDemoSite(time.Second)
		get := func(path string, d time.Duration) *httptest.ResponseRecorder {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			w := httptest.NewRecorder()
			site.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", path, nil))
			return w
		}
		require.Contains(t, get("/", time.Hour).Body.String(), "answer 1,")
		require.Equal(t, 10, strings.Count(get("/slow", time.Hour).Body.String(), "answer 2, part "))
		require.Contains(t, get("/private", time.Hour).Body.String(), "answer 3,")
		require.Equal(t, "answer 4\n", get("/stale", time.Hour).Body.String())
		require.Equal(t, 4, strings.Count(get("/events", 3500*time.Millisecond).Body.String(), "data: "))
		require.Equal(t, 404, get("/nothing", time.Hour).Code)
	})
}
