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

// chiItem is the handler of a route with {id}. chi hands out its parameters from a context that it
// uses again.
func chiItem(i *items) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i.write(w, r, chi.URLParam(r, "id"))
	}
}

// A cache on one route.
func TestChiWith(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	r.With(cache.Handler).Get("/item/{id}", chiItem(new(items)))
	h, log := around(r)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
	log.check(t, 9, 3)
}

// A cache in front of all routes of a router.
func TestChiUse(t *testing.T) {
	cache, r := newCache(t, middleware.Config{}), chi.NewRouter()
	h, log := around(r)
	r.Use(chimiddleware.RequestID, chimiddleware.Recoverer, cache.Handler)
	r.Get("/item/{id}", chiItem(new(items)))
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "a%2Fb")
	log.check(t, 9, 3)
}

// One cache in routers that are mounted in another, under the same paths.
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

// A cache around mounted routers. Where it asks twice, the router has not been left where the first
// time ended.
func TestChiRangeOfWhatIsTooLarge(t *testing.T) {
	cache, r, sub := newCache(t, middleware.Config{MaxObjectBytes: 1000}), chi.NewRouter(), chi.NewRouter()
	r.Use(cache.Handler)
	sub.Get("/{name}", func(w http.ResponseWriter, r *http.Request) { writeLarge(w, r, chi.URLParam(r, "name")) })
	r.Mount("/files", sub)
	h, _ := around(r)
	checkLargeRange(t, serve(t, h), "/files/large.txt")
}
