//go:build !race

// These tests do not run under the race detector, which allocates too.

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// servingAllocs returns how many allocations handler needs to answer r. It serves r once before it
// counts.
func servingAllocs(handler http.Handler, r *http.Request) float64 {
	w := &discardWriter{}
	serve := func() {
		w.header = make(http.Header)
		handler.ServeHTTP(w, r)
	}
	serve()
	return testing.AllocsPerRun(1000, serve)
}

func TestHandlerHitAllocatesAtMostTen(t *testing.T) {
	asked := 0
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		bareHandler(w, r)
	})
	hit := servingAllocs(newBenchCache(t).Handler(origin), httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil))
	require.Equal(t, 1, asked, "a hit must not reach the origin")
	require.LessOrEqual(t, hit, 10.0, "the header map and its values take six, the answer's own fields two, key and hit one each")
}

// The number of variants does not change what a hit allocates: a hit reads no description of a
// variant.
func TestHandlerHitAllocatesTheSameForAnyNumberOfVariants(t *testing.T) {
	for _, variants := range []int{1, 64} {
		require.LessOrEqual(t, servingAllocs(varyingHandler(t, variants)), 12.0, "a hit among %d variants", variants)
	}
}

func TestTransportHitAllocatesAtMostTen(t *testing.T) {
	asked := 0
	rt := newBenchCache(t).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		asked++
		return benchOrigin(r)
	}))
	r := httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2*len(benchBody))
	readAll(t, rt, r, buffer)
	hit := testing.AllocsPerRun(1000, func() { readAll(t, rt, r, buffer) })
	require.Equal(t, 1, asked, "a hit must not reach the origin")
	require.LessOrEqual(t, hit, 10.0)
}

func TestTransportMissAllocatesAtMost64MoreThanTheBase(t *testing.T) {
	buffer := make([]byte, 2*len(benchBody))
	allocs := func(rt http.RoundTripper) float64 {
		// A client's request; a server's request that is sent on costs one more copy.
		r, err := http.NewRequest("GET", "http://example.test/", nil)
		require.NoError(t, err)
		asked := 0
		ask := func() {
			asked++
			r.URL.RawQuery = strconv.Itoa(asked)
			readAll(t, rt, r, buffer)
		}
		for range 20_000 { // until few keys are in the sample of the miss-ratio curve
			ask()
		}
		return testing.AllocsPerRun(1000, ask)
	}
	origin := roundTripFunc(benchOrigin)
	bare, miss := allocs(origin), allocs(newBenchCache(t).Transport(origin))
	require.LessOrEqual(t, miss, bare+64, "a fetch without a cache takes %v allocations; two of the miss find a reader that is never closed", bare)
}
