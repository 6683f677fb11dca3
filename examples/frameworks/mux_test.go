package frameworks

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// muxItem is the handler of a pattern with {id}.
func muxItem(i *items) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { i.write(w, r, r.PathValue("id")) }
}

func TestServeMuxAround(t *testing.T) {
	cache, mux := newCache(t, middleware.Config{}), http.NewServeMux()
	mux.Handle("GET /item/{id}", cache.Handler(muxItem(new(items))))
	h, log := around(mux)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42")
	log.check(t, 6, 2)
}

func TestServeMuxBehind(t *testing.T) {
	cache, mux := newCache(t, middleware.Config{}), http.NewServeMux()
	mux.Handle("GET /item/{id}", muxItem(new(items)))
	h, log := around(cache.Handler(mux))
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42")
	log.check(t, 6, 2)
}

// Two handlers under http.StripPrefix share one cache. They see the same path, but clients use two
// different ones.
func TestStripPrefix(t *testing.T) {
	cache, mux := newCache(t, middleware.Config{}), http.NewServeMux()
	for _, part := range []string{"docs", "admin"} {
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			w.Write([]byte(part + " " + r.URL.Path))
		})
		mux.Handle("/"+part+"/", http.StripPrefix("/"+part, cache.Handler(page)))
	}
	s := serve(t, mux)
	for range 2 {
		for _, part := range []string{"docs", "admin"} {
			require.Equal(t, part+" /index.html", s.get("/"+part+"/index.html").body)
		}
	}
}
