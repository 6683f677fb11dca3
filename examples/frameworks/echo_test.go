package frameworks

import (
	"net/http"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func echoItem(i *items) echo.HandlerFunc {
	return func(c echo.Context) error {
		i.write(c.Response(), c.Request(), c.Param("id"))
		return nil
	}
}

func TestEcho(t *testing.T) {
	for name, mount := range map[string]func(*middleware.Cache, *echo.Echo, echo.HandlerFunc) http.Handler{
		"outside": func(cache *middleware.Cache, e *echo.Echo, h echo.HandlerFunc) http.Handler {
			e.GET("/item/:id", h)
			return cache.Handler(e)
		},
		"Use": func(cache *middleware.Cache, e *echo.Echo, h echo.HandlerFunc) http.Handler {
			e.Use(echo.WrapMiddleware(cache.Handler))
			e.GET("/item/:id", h)
			return e
		},
		"Pre": func(cache *middleware.Cache, e *echo.Echo, h echo.HandlerFunc) http.Handler {
			e.Pre(echo.WrapMiddleware(cache.Handler))
			e.GET("/item/:id", h)
			return e
		},
		"route": func(cache *middleware.Cache, e *echo.Echo, h echo.HandlerFunc) http.Handler {
			e.GET("/item/:id", h, echo.WrapMiddleware(cache.Handler))
			return e
		},
	} {
		t.Run(name, func(t *testing.T) {
			cache := newCache(t, middleware.Config{})
			h, log := around(mount(cache, echo.New(), echoItem(new(items))))
			checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42", "99")
			log.check(t, 9, 3)
		})
	}
}

// If a handler returns an error, echo writes the answer after the middleware has returned.
func TestEchoErrors(t *testing.T) {
	cache, e := newCache(t, middleware.Config{}), echo.New()
	e.Use(echo.WrapMiddleware(cache.Handler))
	e.Any("/item/:id", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=60")
		return echo.NewHTTPError(http.StatusNotFound, "no such item")
	})
	s := serve(t, e)
	for range 2 {
		for _, method := range []string{"GET", "POST"} {
			got := s.as("alice", method, "/item/7")
			require.Equal(t, http.StatusNotFound, got.status, got.cache)
			require.JSONEq(t, `{"message":"no such item"}`, got.body)
		}
	}
	require.Equal(t, http.StatusNotFound, s.get("/nowhere").status)
}

func TestEchoRangeOfALargeBody(t *testing.T) {
	cache, e := newCache(t, middleware.Config{MaxObjectBytes: 1000}), echo.New()
	e.Use(echo.WrapMiddleware(cache.Handler))
	e.GET("/files/:name", func(c echo.Context) error {
		writeLarge(c.Response(), c.Request(), c.Param("name"))
		return nil
	})
	h, _ := around(e)
	checkLargeRange(t, serve(t, h), "/files/large.txt")
}
