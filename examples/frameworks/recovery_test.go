package frameworks

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// gin.Recovery recovers http.ErrAbortHandler like any panic, so the server would end the response
// normally. Clients must still see that the answer is incomplete.
func TestGinRecoveryDoesNotCompleteABrokenAnswer(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			cache := newCache(t, middleware.Config{})
			begun, fail := make(chan struct{}), make(chan struct{})
			engine := newGin()
			engine.GET("/report", gin.WrapH(cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				io.WriteString(w, "the first half")
				w.(http.Flusher).Flush()
				close(begun)
				<-fail
				panic(http.ErrAbortHandler)
			}))))
			server := httptest.NewUnstartedServer(engine)
			server.EnableHTTP2 = proto == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			var bodies [2]io.ReadCloser
			for i := range bodies { // the second one reads while the response is fetched
				response, err := server.Client().Get(server.URL + "/report")
				require.NoError(t, err)
				require.Equal(t, proto, response.Proto)
				bodies[i] = response.Body
				<-begun
			}
			close(fail)
			for i, body := range bodies {
				got, err := io.ReadAll(body)
				require.Error(t, err, "client %d got %q", i, got)
				body.Close()
			}
		})
	}
}
