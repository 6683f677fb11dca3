package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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

func TestHandlerResponseWriterHasNoUnwrap(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		_, unwraps := w.(interface{ Unwrap() http.ResponseWriter })
		_, _, hijackErr := http.NewResponseController(w).Hijack()
		fmt.Fprint(w, unwraps, " ", errors.Is(hijackErr, errors.ErrUnsupported))
	})
	require.Equal(t, "false true", h.get("/").body)
}

func TestHandlerHeaderIsFixedAtWriteHeader(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("X-A", "before")
		w.WriteHeader(203)
		w.Header().Set("X-A", "after")
		io.WriteString(w, "body")
	})
	for range 2 {
		r := h.get("/")
		require.Equal(t, 203, r.StatusCode)
		require.Equal(t, "before", r.Header.Get("X-A"))
	}
}

func TestHandlerSetsDateAndContentTypeAtAdmission(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		if r.URL.Path == "/suppressed" {
			w.Header()["Content-Type"] = nil
		}
		io.WriteString(w, "<html><body>")
	})
	first, second := h.get("/"), h.get("/")
	require.Equal(t, "text/html; charset=utf-8", first.Header.Get("Content-Type"))
	require.Equal(t, first.Header.Get("Content-Type"), second.Header.Get("Content-Type"))
	require.NotEmpty(t, first.Header.Get("Date"))
	require.Equal(t, first.Header.Get("Date"), second.Header.Get("Date"))
	require.Contains(t, second.status(), "; hit")
	for range 2 {
		r := h.get("/suppressed")
		require.NotContains(t, r.Header, "Content-Type")
	}
}

func TestHandlerWriteErrorsAreThoseOfNetHTTP(t *testing.T) {
	errs := make(chan error, 4)
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		switch r.URL.Path {
		case "/long":
			w.Header().Set("Content-Length", "3")
			io.WriteString(w, "abc")
			_, err := io.WriteString(w, "d")
			errs <- err
		case "/none":
			w.WriteHeader(http.StatusNoContent)
			_, err := io.WriteString(w, "d")
			errs <- err
		}
	})
	resp, err := h.client.Get(h.front.URL + "/long")
	if err == nil {
		// Only as many bytes as were declared are read; the server handles the rest.
		io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	require.ErrorIs(t, <-errs, http.ErrContentLength)
	require.Equal(t, 204, h.get("/none").StatusCode)
	require.ErrorIs(t, <-errs, http.ErrBodyNotAllowed)
}

func TestHandlerInterimResponsesPassAtOnceInOrder(t *testing.T) {
	calls := 0
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Link", "</script.js>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	})
	for i := range 2 {
		var hints []string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				hints = append(hints, fmt.Sprint(code, " ", header.Get("Link")))
				return nil
			},
		})
		req, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL+"/", nil)
		resp, err := h.client.Do(req)
		require.NoError(t, err)
		resp.Body.Close()
		require.Empty(t, resp.Header.Get("Link"))
		if i == 0 {
			require.Equal(t, []string{"103 </style.css>; rel=preload", "103 </script.js>; rel=preload"}, hints)
		} else {
			require.Empty(t, hints)
		}
	}
	require.Equal(t, 1, calls)
}

func TestHandlerTrailersReachReadersAndAreNotStored(t *testing.T) {
	release := make(chan struct{})
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		http.NewResponseController(w).Flush()
		<-release
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-More", "yes")
	})
	var attached []*http.Response
	for range 2 {
		resp, err := h.client.Get(h.front.URL + "/")
		require.NoError(t, err)
		attached = append(attached, resp)
	}
	close(release)
	for _, resp := range attached {
		io.ReadAll(resp.Body)
		resp.Body.Close()
		require.Equal(t, "42", resp.Trailer.Get("X-Sum"))
		require.Equal(t, "yes", resp.Trailer.Get("X-More"))
	}
	again := h.get("/")
	require.Contains(t, again.status(), "; hit")
	require.Empty(t, again.Trailer)
}

func TestHandlerTrailersOfUncacheableResponsesPass(t *testing.T) {
	h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
		w.Header().Set(http.TrailerPrefix+"X-More", "yes")
	})
	r := h.get("/")
	require.Equal(t, "42", r.Trailer.Get("X-Sum"))
	require.Equal(t, "yes", r.Trailer.Get("X-More"))
}

// closeNotifier is http.CloseNotifier, which some frameworks still use.
type closeNotifier interface{ CloseNotify() <-chan bool }

// A handler's ResponseWriter has the optional interfaces that a server's has, except http.Hijacker.
// In a background revalidation an outer handler's writer has them too.
func TestHandlerResponseWriterHasTheServersInterfaces(t *testing.T) {
	var asked atomic.Int32
	check := func(w http.ResponseWriter, hijacks bool) {
		_, flusher := w.(http.Flusher)
		_, stringWriter := w.(io.StringWriter)
		_, readerFrom := w.(io.ReaderFrom)
		_, hijacker := w.(http.Hijacker)
		notifier, ok := w.(closeNotifier)
		if !flusher || !stringWriter || !readerFrom || !ok || hijacker != hijacks {
			t.Errorf("flusher %v, string writer %v, reader from %v, close notifier %v, hijacker %v", flusher, stringWriter, readerFrom, ok, hijacker)
			return
		}
		select {
		case <-notifier.CloseNotify():
			t.Error("CloseNotify must not report a client that is still there")
		default:
		}
	}
	cache := newCache(t, middleware.Config{})
	inner := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(w, false)
		w.Header().Set("Cache-Control", "max-age=100, stale-while-revalidate=100")
		aged(w, 150*time.Second)
		fmt.Fprint(w, asked.Add(1))
	}))
	h := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		check(w, !middleware.IsRefresh(r.Context()))
		inner.ServeHTTP(w, r)
	}))
	for range 2 {
		require.Equal(t, "1", h.get("/").body)
		require.NoError(t, cache.Wait(t.Context()))
	}
	require.EqualValues(t, 2, asked.Load())
}

// A handler may end early because CloseNotify tells it to. CloseNotify reports only the
// cancellation of the fetch, and nothing of such a fetch is stored.
func TestCloseNotifyReportsTheEndOfTheFetch(t *testing.T) {
	for _, cacheable := range []bool{false, true} {
		told := make(chan bool, 1)
		h := newHandlerHarness(t, middleware.Config{}, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", map[bool]string{false: "no-store", true: "max-age=60"}[cacheable])
			io.WriteString(w, "one ")
			w.(http.Flusher).Flush()
			select {
			case <-w.(closeNotifier).CloseNotify():
				told <- true
			case <-time.After(500 * time.Millisecond):
				io.WriteString(w, "two")
				told <- false
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, "GET", h.front.URL, nil)
		response, err := h.client.Do(r)
		require.NoError(t, err)
		cancel()
		response.Body.Close()
		require.Equal(t, !cacheable, <-told)
		if cacheable {
			require.NoError(t, h.cache.Wait(t.Context()))
			again := h.get("/")
			require.Equal(t, "one two", again.body)
			require.Contains(t, again.status(), "; hit")
		}
	}
}
