package frameworks

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// A compressing middleware around the cache compresses a miss as well as it does without the cache.
func TestGzipAround(t *testing.T) {
	for name, every := range map[string]int{"never flushed": 0, "flushed": 100} {
		t.Run(name, func(t *testing.T) {
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				w.Header().Set("Content-Type", "text/plain")
				for i := range 1000 {
					fmt.Fprintf(w, "line %d of %s: %x\n", i, r.URL.Path, uint64(i)*0x9e3779b97f4a7c15)
					if i%20 == 0 {
						time.Sleep(time.Millisecond) // lets readers follow
					}
					if every > 0 && i%every == 0 {
						w.(http.Flusher).Flush()
					}
				}
			})
			size := func(h http.Handler) int {
				s := serve(t, gzhttp.GzipHandler(h))
				s.client.Transport.(*http.Transport).DisableCompression = true
				got := s.send(http.MethodGet, "/page", "Accept-Encoding", "gzip")
				require.Equal(t, "gzip", got.header.Get("Content-Encoding"))
				return len(got.body)
			}
			bare, missed := size(page), size(newCache(t, middleware.Config{}).Handler(page))
			require.LessOrEqual(t, float64(missed), 1.02*float64(bare), "%d bytes through the cache, %d without", missed, bare)
		})
	}
}

// With a compressing middleware behind the cache, the stored response varies on Accept-Encoding.
func TestGzipBehind(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	s := serve(t, cache.Handler(gzhttp.GzipHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		for range 1000 {
			io.WriteString(w, "a line of text\n")
		}
	}))))
	s.client.Transport.(*http.Transport).DisableCompression = true
	for n := range 2 {
		for _, coding := range []string{"gzip", "identity"} {
			got := s.send(http.MethodGet, "/page", "Accept-Encoding", coding)
			require.Equal(t, coding == "gzip", len(got.body) < 5000)
			require.Equal(t, n == 1, hit(got), got.cache)
		}
	}
}
