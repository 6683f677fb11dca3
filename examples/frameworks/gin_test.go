package frameworks

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func newGin() *gin.Engine {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.Use(gin.Recovery())
	return engine
}

func ginItem(i *items) gin.HandlerFunc {
	return func(c *gin.Context) { i.write(c.Writer, c.Request, c.Param("id")) }
}

// cached returns the cache as a gin middleware. The handlers after it in the chain are behind the
// cache.
func cached(cache *middleware.Cache) gin.HandlerFunc {
	return func(c *gin.Context) {
		outside := c.Writer
		cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c.Writer, c.Request = &ginWriter{ResponseWriter: outside, inside: w, size: -1}, r
			c.Next()
			c.Writer.WriteHeaderNow()
		})).ServeHTTP(outside, c.Request)
		c.Writer = outside
		c.Abort() // after a hit, the rest of the chain must not run
	}
}

// ginWriter makes a gin.ResponseWriter of the cache's ResponseWriter.
type ginWriter struct {
	gin.ResponseWriter // for the methods that concern the connection
	inside             http.ResponseWriter
	status, size       int
}

func (w *ginWriter) Header() http.Header { return w.inside.Header() }
func (w *ginWriter) WriteHeader(status int) {
	if !w.Written() {
		w.status = status
	}
}
func (w *ginWriter) WriteHeaderNow() {
	if !w.Written() {
		w.size = 0
		w.inside.WriteHeader(w.Status())
	}
}
func (w *ginWriter) Write(p []byte) (int, error) {
	w.WriteHeaderNow()
	n, err := w.inside.Write(p)
	w.size += n
	return n, err
}
func (w *ginWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }
func (w *ginWriter) Size() int                         { return w.size }
func (w *ginWriter) Written() bool                     { return w.size >= 0 }
func (w *ginWriter) Flush() {
	w.WriteHeaderNow()
	w.inside.(http.Flusher).Flush()
}
func (w *ginWriter) CloseNotify() <-chan bool { return w.inside.(closeNotifier).CloseNotify() }
func (w *ginWriter) Status() int {
	if w.status == 0 {
		return http.StatusOK
	}
	return w.status
}

// closeNotifier is http.CloseNotifier, which gin requires.
type closeNotifier interface{ CloseNotify() <-chan bool }

// The cache is around the engine.
func TestGinOutside(t *testing.T) {
	cache, engine := newCache(t, middleware.Config{}), newGin()
	engine.GET("/item/:id", ginItem(new(items)))
	h, log := around(cache.Handler(engine))
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42")
	log.check(t, 6, 2)
}

// The cache is a middleware of a route.
func TestGinMiddleware(t *testing.T) {
	cache, engine := newCache(t, middleware.Config{}), newGin()
	engine.GET("/item/:id", cached(cache), ginItem(new(items)))
	h, log := around(engine)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42")
	log.check(t, 6, 2)
}

// The cache is inside gin, around a handler of net/http.
func TestGinWrapH(t *testing.T) {
	cache, engine, mux := newCache(t, middleware.Config{}), newGin(), http.NewServeMux()
	mux.Handle("/item/{id}", muxItem(new(items)))
	engine.GET("/item/*path", gin.WrapH(cache.Handler(mux)))
	h, log := around(engine)
	checkRefreshes(t, cache, serve(t, h), "/item/", "7", "42")
	log.check(t, 6, 2)
}

// c.Next can run a chain only once. If the cache asks twice, the second time is a new request.
func TestGinRangeOfALargeBody(t *testing.T) {
	cache, engine := newCache(t, middleware.Config{MaxObjectBytes: 1000}), newGin()
	engine.GET("/files/:name", cached(cache), func(c *gin.Context) { writeLarge(c.Writer, c.Request, c.Param("name")) })
	h, _ := around(engine)
	checkLargeRange(t, serve(t, h), "/files/large.txt")
}

// c.Stream requires that the ResponseWriter is an http.CloseNotifier.
func TestGinStream(t *testing.T) {
	for name, mount := range map[string]func(*middleware.Cache, *gin.Engine, gin.HandlerFunc) http.Handler{
		"outside": func(cache *middleware.Cache, engine *gin.Engine, h gin.HandlerFunc) http.Handler {
			engine.GET("/stream", h)
			return cache.Handler(engine)
		},
		"middleware": func(cache *middleware.Cache, engine *gin.Engine, h gin.HandlerFunc) http.Handler {
			engine.GET("/stream", cached(cache), h)
			return engine
		},
	} {
		for _, control := range []string{"no-store", "public, max-age=60"} {
			t.Run(name+" "+control, func(t *testing.T) {
				cache := newCache(t, middleware.Config{})
				s := serve(t, mount(cache, newGin(), func(c *gin.Context) {
					c.Header("Cache-Control", control)
					n := 0
					c.Stream(func(w io.Writer) bool {
						n++
						fmt.Fprintf(w, "event %d\n", n)
						return n < 3
					})
				}))
				for range 2 {
					got := s.get("/stream")
					require.Equal(t, "event 1\nevent 2\nevent 3\n", got.body, got.status)
				}
				require.Equal(t, control != "no-store", hit(s.get("/stream")))
			})
		}
	}
}
