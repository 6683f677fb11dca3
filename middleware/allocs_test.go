//go:build !race

// The race detector allocates on its own account.

package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// servingAllocs returns how many allocations it takes handler to answer r as it has answered it
// before.
func servingAllocs(handler http.Handler, r *http.Request) float64 {
	w := &discardWriter{}
	serve := func() {
		w.header = make(http.Header)
		handler.ServeHTTP(w, r)
	}
	serve()
	return testing.AllocsPerRun(1000, serve)
}

func TestAllocsOfHandlerHit(t *testing.T) {
	asked := 0
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		bareHandler(w, r)
	})
	hit := servingAllocs(newBenchCache(t).Handler(origin), httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil))
	require.Equal(t, 1, asked, "hits do not ask the origin")
	require.LessOrEqual(t, hit, 10.0, "the header map and its values take six, the answer's own fields two, key and hit one each")
}

// However many variants there are, a hit reads none of their descriptions.
func TestAllocsOfHandlerHitVary(t *testing.T) {
	for _, variants := range []int{1, 64} {
		require.LessOrEqual(t, servingAllocs(varyingHandler(t, variants)), 12.0, "%d variants", variants)
	}
}

func TestAllocsOfTransportHit(t *testing.T) {
	asked := 0
	rt := newBenchCache(t).Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		asked++
		return benchOrigin(r)
	}))
	r := httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2*len(benchBody))
	readAll(t, rt, r, buffer)
	hit := testing.AllocsPerRun(1000, func() { readAll(t, rt, r, buffer) })
	require.Equal(t, 1, asked, "hits do not ask the origin")
	require.LessOrEqual(t, hit, 10.0)
}

func TestAllocsOfTransportMiss(t *testing.T) {
	buffer := make([]byte, 2*len(benchBody))
	allocs := func(rt http.RoundTripper) float64 {
		r, err := http.NewRequest("GET", "http://example.test/", nil) // a client's: one that a proxy sends on costs a copy more
		require.NoError(t, err)
		asked := 0
		return testing.AllocsPerRun(1000, func() {
			asked++
			r.URL.RawQuery = strconv.Itoa(asked)
			readAll(t, rt, r, buffer)
		})
	}
	origin := roundTripFunc(benchOrigin)
	bare, miss := allocs(origin), allocs(newBenchCache(t).Transport(origin))
	require.LessOrEqual(t, miss, bare+64, "without a cache it takes %v; two of them find a reader that is never closed", bare)
}
