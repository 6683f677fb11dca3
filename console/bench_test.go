package console

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/cirquecache/cirque/middleware"
)

// BenchmarkHit compares a hit without a console, with one that nobody looks at, and with one that
// records.
func BenchmarkHit(b *testing.B) {
	for _, name := range []string{"without", "nobody looks", "recorded"} {
		b.Run(name, func(b *testing.B) {
			cache, err := middleware.New(middleware.Config{})
			if err != nil {
				b.Fatal(err)
			}
			handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60000")
				_, _ = io.WriteString(w, "hello")
			}))
			if name != "without" {
				page, err := New(Config{Caches: []*middleware.Cache{cache}, Authorize: Loopback, AlwaysOn: name == "recorded"})
				if err != nil {
					b.Fatal(err)
				}
				defer page.Close()
			}
			r := httptest.NewRequest("GET", "http://site.example/", nil)
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				handler.ServeHTTP(w, r)
			}
		})
	}
}
