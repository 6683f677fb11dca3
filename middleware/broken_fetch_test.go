package middleware_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// An answer that needs no more of the body than has come is complete, even if the fetch breaks off
// later.
func TestNotModifiedIsCompleteThoughTheFetchBreaksOff(t *testing.T) {
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			h, _ := newFaultyHarness(t, door, middleware.Config{}, func(*http.Request) faulty.Answer {
				return faulty.Answer{
					Header: http.Header{"Etag": {`"e"`}, "Cache-Control": {"max-age=60"}},
					Length: 100 << 10, Kind: faulty.ResetInBody,
				}
			})
			for range 10 {
				got := h.try("GET", "/", "If-None-Match", `"e"`)
				require.NoError(t, got.err)
				require.Equal(t, http.StatusNotModified, got.StatusCode)
				require.Error(t, h.try("GET", "/").err)
			}
		})
	}
}
