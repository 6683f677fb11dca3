package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// rangedOrigin serves parts of numbers. send writes the answer to a request for bytes start to end.
func rangedOrigin(send func(w http.ResponseWriter, start, end int)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		var start, last int
		if n, _ := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &start, &last); n == 2 {
			send(w, start, last+1)
			return
		}
		io.WriteString(w, numbers)
	}
}

// A part may be shorter than its Content-Range says, without a Content-Length. It is neither stored
// nor taken for complete.
func TestTooShortPartIsNotStored(t *testing.T) {
	var honest atomic.Bool
	origin := rangedOrigin(func(w http.ResponseWriter, start, end int) {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, len(numbers)))
		w.WriteHeader(http.StatusPartialContent)
		w.(http.Flusher).Flush() // chunked
		if !honest.Load() {
			end -= 10
		}
		io.WriteString(w, numbers[start:end])
	})
	eachDoor(t, middleware.Config{Ranges: middleware.RangesForward}, origin, func(t *testing.T, h *harness) {
		honest.Store(false)
		short := h.try(http.MethodGet, "/", "Range", "bytes=0-49")
		require.Error(t, short.err)
		require.Equal(t, numbers[:40], short.body)
		honest.Store(true)
		for _, want := range []string{numbers[50:], numbers[:50]} {
			asked := "bytes=50-99"
			if want == numbers[:50] {
				asked = "bytes=0-49"
			}
			r := h.get("/", "Range", asked)
			require.NoError(t, r.err)
			require.Equal(t, http.StatusPartialContent, r.StatusCode)
			require.Equal(t, want, r.body)
			require.NoError(t, h.cache.Wait(t.Context()))
		}
		require.Equal(t, numbers, h.get("/").body)
		require.Equal(t, 3, h.requests(), "the whole must be assembled from stored parts")
	})
}

// An origin may send less of a range than was requested. A client that wants more gets it all the
// same, and a client that asks for no range gets the whole.
func TestOriginMaySendLessOfARange(t *testing.T) {
	origin := rangedOrigin(func(w http.ResponseWriter, start, end int) {
		end = min(end, start+20)
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", start, end-1, len(numbers)))
		w.Header().Set("Content-Length", fmt.Sprint(end-start))
		w.WriteHeader(http.StatusPartialContent)
		io.WriteString(w, numbers[start:end])
	})
	eachDoor(t, middleware.Config{Ranges: middleware.RangesForward}, origin, func(t *testing.T, h *harness) {
		for path, c := range map[string]struct {
			before []string
			asked  []string
			status int
			body   string
		}{
			"/whole":  {[]string{"bytes=0-9"}, nil, 200, numbers},
			"/beyond": {[]string{"bytes=0-9"}, []string{"Range", "bytes=40-99"}, 206, numbers[40:60]},
			"/parts":  {[]string{"bytes=0-9", "bytes=40-49"}, []string{"Range", "bytes=45-99"}, 206, numbers[45:65]},
			"/within": {[]string{"bytes=0-9"}, []string{"Range", "bytes=5-24"}, 206, numbers[5:25]},
		} {
			for _, before := range c.before {
				h.get(path, "Range", before)
				require.NoError(t, h.cache.Wait(t.Context()))
			}
			r := h.get(path, c.asked...)
			require.NoError(t, r.err, path)
			require.Equal(t, c.status, r.StatusCode, path)
			require.Equal(t, c.body, r.body, path)
		}
	})
}

// A stored part may be purged between two lookups of one request.
func TestPartPurgedBetweenTwoLookupsIsFetched(t *testing.T) {
	var purge atomic.Pointer[func()]
	cfg := middleware.Config{Ranges: middleware.RangesForward}
	cfg.HitFilter = func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness {
		if p := purge.Swap(nil); p != nil {
			(*p)()
		}
		return 0
	}
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Etag", `"e"`)
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(numbers))
	}
	eachDoor(t, cfg, origin, func(t *testing.T, h *harness) {
		h.get("/", "Range", "bytes=0-9")
		require.NoError(t, h.cache.Wait(t.Context()))
		purged := func() { require.NoError(t, h.purge("/")) }
		purge.Store(&purged)
		r := h.get("/", "Range", "bytes=20-29")
		require.Equal(t, http.StatusPartialContent, r.StatusCode)
		require.Equal(t, "bytes 20-29/100", r.Header.Get("Content-Range"))
		require.Equal(t, numbers[20:30], r.body)
	})
}
