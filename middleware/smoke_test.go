package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func TestSmoke(t *testing.T) {
	for _, front := range []string{"handler", "transport"} {
		t.Run(front, func(t *testing.T) {
			var asked atomic.Int32
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				w.Header().Set("Cache-Control", "max-age=60")
				w.Header().Set("Etag", `"x"`)
				w.Header().Set("Vary", "Accept-Language")
				fmt.Fprintf(w, "hello %s", r.URL.Path)
			}))
			defer origin.Close()
			u, _ := url.Parse(origin.URL)
			cache, err := middleware.New(middleware.Config{})
			require.NoError(t, err)
			proxy := httputil.NewSingleHostReverseProxy(u)
			var h http.Handler = proxy
			if front == "handler" {
				h = cache.Handler(proxy)
			} else {
				proxy.Transport = cache.Transport(nil)
			}
			server := httptest.NewServer(h)
			defer server.Close()
			for i, hdr := range []string{"", "", "bytes=1-2"} {
				req, _ := http.NewRequest("GET", server.URL+"/a", nil)
				if hdr != "" {
					req.Header.Set("Range", hdr)
				}
				resp, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				t.Log(i, resp.Status, resp.Header, string(body))
			}
			require.EqualValues(t, 1, asked.Load())
		})
	}
}
