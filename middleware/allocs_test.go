//go:build !race

// The race detector allocates on its own account.

package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// servingAllocs returns how many allocations it takes handler to answer r as it has answered it before.
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
		recorder := httptest.NewRecorder()
		bareHandler(recorder, nil)
		response := recorder.Result()
		response.Request = r
		return response, nil
	}))
	r := httptest.NewRequest("GET", "http://example.test/path/to/page?id=1", nil)
	buffer := make([]byte, 2*len(benchBody))
	get := func() {
		response, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.ReadFull(response.Body, buffer)
		if n != len(benchBody) || err != io.ErrUnexpectedEOF {
			t.Fatalf("read %d bytes: %v", n, err)
		}
		response.Body.Close()
	}
	get()
	hit := testing.AllocsPerRun(1000, get)
	require.Equal(t, 1, asked, "hits do not ask the origin")
	require.LessOrEqual(t, hit, 10.0)
}
