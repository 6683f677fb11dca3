package frameworks

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// chiItem is the handler of a route with {id}. chi reuses the context that has the parameters.
func chiItem(i *items) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.write(w, r, chi.URLParam(r, "id"))
	}
}

// The cache is on one route.
func TestChiWith(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	r.With(cache.Handler).Get("/item/{id}", chiItem(new(items)))
	h, log := around(r)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
	log.check(t, 9, 3)
}

// The cache is in front of all routes of a router.
func TestChiUse(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	h, log := around(r)
	r.Use(chimiddleware.RequestID, chimiddleware.Recoverer, cache.Handler)
	r.Get("/item/{id}", chiItem(new(items)))
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
	log.check(t, 9, 3)
}

// One cache is in two routers that are mounted in a third. Both have the same paths.
func TestChiMount(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	for _, shop := range []string{"a", "b"} {
		sub := chi.NewRouter()
		sub.Use(cache.Handler)
		i := new(items)
		sub.Get("/item/{id}", func(w http.ResponseWriter, r *http.Request) {
			i.write(w, r, chi.URLParam(r, "shop")+shop+chi.URLParam(r, "id"))
		})
		r.Mount("/"+shop, sub)
	}
	h, _ := around(r)
	s := serve(t, h)
	for _, version := range []string{"v1", "v1", "v2"} {
		for _, shop := range []string{"a", "b"} {
			require.Equal(t, fmt.Sprintf("item %s7, %s, for tenant of alice", shop, version), s.get("/"+shop+"/item/7").body)
			require.NoError(t, cache.Wait(t.Context()))
		}
	}
}

// The cache is around mounted routers and calls them twice. The second call must not find the
// routing state of the first one.
func TestChiRangeOfALargeBody(t *testing.T) {
	cache, r, sub := newCache(t, middleware.Config{MaxObjectBytes: 1000}), chi.NewRouter(), chi.NewRouter()
	r.Use(cache.Handler)
	sub.Get("/{name}", func(w http.ResponseWriter, r *http.Request) { writeLarge(w, r, chi.URLParam(r, "name")) })
	r.Mount("/files", sub)
	h, _ := around(r)
	checkLargeRange(t, serve(t, h), "/files/large.txt")
}
