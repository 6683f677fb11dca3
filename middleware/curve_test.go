package middleware_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// replay asks a cache with this limit for pages by a Zipf law, and returns the cache.
func replay(t *testing.T, limit int64, requests int) *middleware.Cache {
	cache := newCache(t, middleware.Config{MaxBytes: limit})
	handler := cache.Handler(fresh(strings.Repeat("x", 1000)))
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), 1.1, 10, 8_000)
	for range requests {
		handler.ServeHTTP(discardResponse{http.Header{}}, httptest.NewRequest("GET", fmt.Sprintf("/%d", zipf.Uint64()), nil))
	}
	require.NoError(t, cache.Wait(t.Context()))
	return cache
}

type discardResponse struct{ header http.Header }

func (d discardResponse) Header() http.Header       { return d.header }
func (discardResponse) WriteHeader(int)             {}
func (discardResponse) Write(p []byte) (int, error) { return len(p), nil }

func hitRatio(s stats.Snapshot) float64 {
	hits, all := 0.0, 0.0
	for result, n := range s.Requests[stats.Handler] {
		if all += float64(n); result.FromCache() {
			hits += float64(n)
		}
	}
	return hits / all
}

func TestCurveSaysWhatOtherLimitsWouldDo(t *testing.T) {
	const limit, requests = 512 << 10, 12_000
	points := replay(t, limit, requests).Stats().Curve
	require.Len(t, points, 7)
	for _, p := range points {
		if p.Size < limit/2 || p.Size > 2*limit {
			continue // a replay of each takes its time
		}
		require.InDelta(t, hitRatio(replay(t, p.Size, requests).Stats()), p.HitRatio, 0.03, "%d bytes", p.Size)
	}
}

func TestCurveBeginsAnewAfterSetMaxBytes(t *testing.T) {
	cache := replay(t, 512<<10, 3000)
	at := func() (sizes []int64) {
		for _, p := range cache.Stats().Curve {
			sizes = append(sizes, p.Size)
		}
		return sizes
	}
	require.Contains(t, at(), int64(512<<10))
	before := at()
	require.NoError(t, cache.SetMaxBytes(512<<10))
	require.Equal(t, before, at(), "the limit is the same")

	require.NoError(t, cache.SetMaxBytes(1<<20))
	require.Empty(t, at(), "no request was observed under the new limit")
	handler := cache.Handler(fresh("x"))
	for range 100 {
		for i := range 20 {
			handler.ServeHTTP(discardResponse{http.Header{}}, httptest.NewRequest("GET", fmt.Sprintf("/new/%d", i), nil))
		}
	}
	points := cache.Stats().Curve
	require.Len(t, points, 7)
	require.EqualValues(t, 1<<20, points[3].Size)
	require.InDelta(t, 0.99, points[3].HitRatio, 0.001, "20 of 2000 requests missed, and none of those before count")
}
