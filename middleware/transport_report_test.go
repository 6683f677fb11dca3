package middleware_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// connection is what a response says about the connection that it came by.
type connection struct {
	proto  string
	secure bool
}

// connection is do, and also returns what the response says about its connection.
func (h *harness) connection(method, path string, header ...string) (connection, reply) {
	h.t.Helper()
	got := h.do(method, path, header...)
	return connection{got.Proto, got.TLS != nil}, got
}

// A response that was fetched or validated for this request reports its protocol and TLS state: the
// caller may check the peer's certificate or count protocols. A stored response came by no
// connection.
func TestTransportReportsHowAResponseCame(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		var failing atomic.Bool
		h := serveTLS(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case failing.Load():
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			case r.URL.Path == "/uncacheable":
				w.Header().Set("Cache-Control", "no-store")
			default:
				w.Header().Set("Cache-Control", "max-age=60, stale-if-error=600")
			}
			if r.URL.Path == "/aged" {
				aged(w, 100*time.Second)
			}
			if r.URL.Path == "/changing" {
				fmt.Fprint(w, time.Now().UnixNano())
				return
			}
			w.Header().Set("Etag", `"e"`)
			http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(numbers))
		}))
		cache := newCache(t, middleware.Config{Ranges: middleware.RangesForward})
		h.client = &http.Client{Transport: cache.Transport(h.client.Transport)}
		live, stored := connection{proto, true}, connection{"HTTP/1.1", false}
		const reload = "no-cache"
		for _, c := range []struct {
			what, method, path string
			header             []string
			status             string
			want               connection
		}{
			{"a miss", "GET", "/", nil, "; stored", live},
			{"a hit", "GET", "/", nil, "; hit", stored},
			{"a hit for HEAD", "HEAD", "/", nil, "; hit", stored},
			{"a hit answered with 304", "GET", "/", []string{"If-None-Match", `"e"`}, "; hit", stored},
			{"a validation", "GET", "/", []string{"Cache-Control", reload}, "fwd-status=304", live},
			{"a validation that may not be stored", "GET", "/", []string{"Cache-Control", "no-cache, no-store"}, "fwd-status=304", live},
			{"a validation by HEAD", "HEAD", "/", []string{"Cache-Control", reload}, "fwd=", live},
			{"a replacement", "GET", "/changing", []string{"Cache-Control", reload}, "; stored", live},
			{"a response that may not be stored", "GET", "/uncacheable", nil, "detail=no-store", live},
			{"a range", "GET", "/part", []string{"Range", "bytes=0-3"}, "; stored", live},
			{"a range that was stored", "GET", "/part", []string{"Range", "bytes=1-2"}, "; hit", stored},
			{"the missing rest of a part", "GET", "/part", []string{"Range", "bytes=2-9"}, "; stored", live},
			{"an answer of the cache's own", "GET", "/absent", []string{"Cache-Control", "only-if-cached"}, "", stored},
			{"a response that is stale at once", "GET", "/aged", nil, "; stored", live},
			{"an unsafe request", "POST", "/uncacheable", nil, "fwd=method", live},
		} {
			got, reply := h.connection(c.method, c.path, c.header...)
			require.Contains(t, reply.status(), c.status, c.what)
			require.Equal(t, c.want, got, c.what)
			require.NoError(t, cache.Wait(t.Context()))
		}
		failing.Store(true)
		got, reply := h.connection("GET", "/aged")
		require.Contains(t, reply.status(), "stale-if-error")
		require.Equal(t, stored, got, "a stale response in place of an error")
	})
}

// Other fields of the Response that describe the answer, rather than its framing on the connection,
// are kept too.
func TestTransportReportsTheFetchedResponse(t *testing.T) {
	origin := func(r *http.Request) *http.Response {
		resp := respond("body", "Cache-Control", "max-age=60")
		resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor = "200 Fine", "HTTP/1.0", 1, 0
		resp.TLS = &tls.ConnectionState{ServerName: "example.test"}
		switch r.URL.Path {
		case "/range":
			resp.Header.Set("Content-Length", "4")
		case "/bare":
			resp.Status, resp.Proto, resp.ProtoMajor, resp.ProtoMinor, resp.TLS = "", "", 0, 0, nil
		case "/decoded":
			resp.Uncompressed, resp.ContentLength = true, -1
			resp.Header.Set("Etag", `"e"`)
		case "/chunked":
			resp.TransferEncoding, resp.ContentLength, resp.Close = []string{"chunked"}, -1, true
		}
		return resp
	}
	cache := newCache(t, middleware.Config{})
	door := cache.Transport(answering(origin))
	ask := func(path string, header ...string) reply {
		r := httptest.NewRequest(http.MethodGet, "https://example.test"+path, nil)
		addFields(r.Header, header)
		got := roundTrip(t, door, r)
		require.NoError(t, cache.Wait(t.Context()))
		return got
	}
	got := ask("/")
	require.Equal(t, "200 Fine", got.Status)
	require.Equal(t, "HTTP/1.0", got.Proto)
	require.Equal(t, "example.test", got.TLS.ServerName)
	require.False(t, got.ProtoAtLeast(1, 1))
	got = ask("/")
	require.Equal(t, "200 OK", got.Status)
	require.True(t, got.ProtoAtLeast(1, 1))
	require.Nil(t, got.TLS)

	got = ask("/range", "Range", "bytes=0-1") // the cache fetches the whole
	require.Equal(t, "206 Partial Content", got.Status)
	require.Equal(t, "HTTP/1.0", got.Proto)

	got = ask("/bare")
	require.Equal(t, "200 OK", got.Status)
	require.Equal(t, "HTTP/1.1", got.Proto, "a response without a protocol is reported as HTTP/1.1")

	for range 2 {
		require.True(t, ask("/decoded").Uncompressed)
	}
	got = ask("/chunked")
	require.Empty(t, got.TransferEncoding, "the body is read from the store, which is not chunked")
	require.False(t, got.Close, "the caller has no connection to close")
}

// The trailer fields that the origin announces are known before the body is read, as with net/http.
func TestTransportAnnouncesTrailers(t *testing.T) {
	eachProtocol(t, func(t *testing.T, proto string) {
		h := serveTLS(t, proto, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Trailer", "X-Sum, X-Never")
			io.WriteString(w, "body")
			w.(http.Flusher).Flush()
			w.Header().Set("X-Sum", "42")
		}))
		bare := h.client.Transport
		cached := newCache(t, middleware.Config{}).Transport(bare)
		for _, door := range []http.RoundTripper{bare, cached} {
			r, err := http.NewRequest(http.MethodGet, h.front.URL+"/", nil)
			require.NoError(t, err)
			resp, err := door.RoundTrip(r)
			require.NoError(t, err)
			require.Equal(t, http.Header{"X-Sum": nil, "X-Never": nil}, resp.Trailer)
			body, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.Equal(t, "body", string(body))
			require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
			require.NoError(t, resp.Body.Close())
		}
	})
}
