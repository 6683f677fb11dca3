package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

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

// An answer without content does not wait for the content that is being fetched.
func TestAnswersWithoutContentComeAtOnce(t *testing.T) {
	const content = "the content of the page"
	for _, test := range []struct {
		name, method string
		header       []string
		status       int
	}{
		{"HEAD", http.MethodHead, nil, http.StatusOK},
		{"304", http.MethodGet, []string{"If-None-Match", `"v1"`}, http.StatusNotModified},
		{"416", http.MethodGet, []string{"Range", "bytes=1000-"}, http.StatusRequestedRangeNotSatisfiable},
	} {
		t.Run(test.name, func(t *testing.T) {
			hold, open := gate(t)
			h := newHandlerHarness(t, middleware.Config{HeadAsGet: true}, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"v1"`)
				w.Header().Set("Content-Type", "text/plain")
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				io.WriteString(w, content[:5])
				<-hold
				io.WriteString(w, content[5:])
			})
			defer open()
			h.client.Timeout = 10 * time.Second
			require.Equal(t, test.status, h.do(test.method, "/", test.header...).StatusCode)
		})
	}
}
