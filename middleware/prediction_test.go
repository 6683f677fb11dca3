package middleware_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// Clients that always ask for a range, or with conditions, do not keep a resource predicted
// uncacheable after it has become cacheable (envoyproxy/envoy#37990).
func TestPredictionEndsDespiteRangesAndConditions(t *testing.T) {
	cacheable := false
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		if cacheable {
			w.Header().Set("Cache-Control", "max-age=60")
		}
		w.Header().Set("Etag", `"e"`)
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
	}
	eachBubble(t, middleware.Config{}, origin, func(t *testing.T, b *bubble) {
		cacheable = false
		b.get("/")
		cacheable = true
		for range 5 { // longer than a prediction lasts
			require.Equal(t, http.StatusPartialContent, b.get("/", "Range", "bytes=0-1").StatusCode)
			require.Equal(t, http.StatusNotModified, b.get("/", "If-None-Match", `"e"`).StatusCode)
			time.Sleep(time.Minute)
		}
		b.get("/", "Range", "bytes=0-1")
		require.NoError(t, b.cache.Wait(t.Context()))
		require.Contains(t, b.get("/", "Range", "bytes=0-1").status(), "; hit")
	})
}
