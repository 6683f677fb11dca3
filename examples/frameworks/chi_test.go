package frameworks

import (
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"

	"github.com/cirquecache/cirque/middleware"
)

// chiItem is the handler of a route with {id}. chi hands out its parameters from a context that it uses again.
func chiItem(i *items) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.write(w, r, chi.URLParam(r, "id"))
	}
}

func TestChiWith(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	r.With(cache.Handler).Get("/item/{id}", chiItem(new(items)))
	h, _ := around(r)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
}

func TestChiUse(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	r.Use(cache.Handler)
	r.Get("/item/{id}", chiItem(new(items)))
	h, _ := around(r)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
}
