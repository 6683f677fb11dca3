package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// Fields that a handler around the cache has set stay in every answer, as they would without the
// cache. If both set a list field, the answer has the lines of both. The outer handler's lines are
// neither stored nor part of the key.
func TestHandlerKeepsFieldsSetByOuterHandlers(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/hints") {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
		}
		if strings.HasSuffix(r.URL.Path, "/passed") {
			w.Header().Set("Cache-Control", "no-store")
		} else {
			w.Header().Set("Cache-Control", "public, max-age=60")
		}
		w.Header().Set("Etag", `"e"`)
		w.Header().Set("X-Both", "inner")
		w.Header().Add("Vary", "Accept-Encoding")
		http.SetCookie(w, &http.Cookie{Name: "inner", Value: "1"})
		io.WriteString(w, "body")
	}))
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Outer", "outer")
		w.Header().Set("X-Both", "outer")
		w.Header().Set("Vary", "Origin")
		http.SetCookie(w, &http.Cookie{Name: "outer", Value: "1"})
		inner.ServeHTTP(w, r)
	}))
	defer front.Close()
	// The transport would not ask for compression in a request with a Range.
	front.Client().Transport.(*http.Transport).DisableCompression = true
	h := &harness{t: t, front: front, client: front.Client()}
	for _, c := range []struct {
		path, status string
		code         int
		header       []string
	}{
		{"/passed", "fwd=uri-miss; fwd-status=200; detail=no-store", 200, nil},
		{"/", "stored", 200, nil},
		{"/", "; hit", 200, nil},
		{"/", "; hit", 304, []string{"If-None-Match", `"e"`}},
		{"/", "; hit", 206, []string{"Range", "bytes=0-1"}},
		{"/", "; hit", 416, []string{"Range", "bytes=9-"}},
		{"/hints", "stored", 200, nil},
		{"/hints/passed", "detail=no-store", 200, nil},
	} {
		r := h.get(c.path, c.header...)
		require.NoError(t, cache.Wait(t.Context()))
		require.Equal(t, c.code, r.StatusCode, c.path)
		require.Contains(t, r.status(), c.status)
		require.Equal(t, "outer", r.Header.Get("X-Outer"), c)
		require.Equal(t, "outer=1", r.Header.Values("Set-Cookie")[0], c)
		require.Equal(t, "Origin", r.Header.Values("Vary")[0], c)
		require.Empty(t, r.Header["Link"], "a field of an early response must not be repeated in the final one")
		switch c.code {
		case 200, 206:
			require.Equal(t, []string{"inner"}, r.Header["X-Both"], c)
			require.Equal(t, []string{"Origin", "Accept-Encoding"}, r.Header["Vary"], c)
		case 304:
			require.Equal(t, []string{"Origin", "Accept-Encoding"}, r.Header["Vary"], c)
		}
	}
}

// The cache sniffs the Content-Type as net/http does: from the first 512 bytes, in however many
// writes they come.
func TestHandlerSniffsContentTypesAsTheServerDoes(t *testing.T) {
	bodies := map[string][]string{
		"/empty":     {""},
		"/html":      {"\n", "<!DOCTYPE html>", "<html>"},
		"/bytes":     {"<", "h", "t", "m", "l", ">"},
		"/text":      {"plain"},
		"/long text": {strings.Repeat("a", 511), "\x00\x01", strings.Repeat("b", 5000)},
		"/late":      {strings.Repeat("a", 512), "\x00\x01"},
	}
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, part := range bodies[r.URL.Path] {
			io.WriteString(w, part)
		}
	})
	cache := newCache(t, middleware.Config{})
	plain, cached := httptest.NewServer(next), httptest.NewServer(cache.Handler(next))
	defer plain.Close()
	defer cached.Close()
	for path, parts := range bodies {
		path = strings.ReplaceAll(path, " ", "%20")
		want := (&harness{t: t, front: plain, client: plain.Client()}).get(path)
		got := (&harness{t: t, front: cached, client: cached.Client()}).get(path)
		require.Equal(t, want.Header["Content-Type"], got.Header["Content-Type"], path)
		require.Equal(t, strings.Join(parts, ""), got.body)
	}
}

// Trailers that were not announced, such as gRPC's, reach the client of an uncacheable response,
// with any method and at either door.
func TestUnannouncedTrailersOfUncacheableResponsesPass(t *testing.T) {
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
	}
	eachDoor(t, middleware.Config{}, origin, func(t *testing.T, h *harness) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
			require.Equal(t, "0", h.do(method, "/").Trailer.Get("Grpc-Status"), method)
		}
	})
}
