package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

// field is a header field.
type field struct{ Name, Value string }

// fieldsFor returns the ten header fields of a usual response whose body has size bytes.
func fieldsFor(size int) []field {
	return []field{
		{"Cache-Control", "public, max-age=86400"},
		{"Content-Length", strconv.Itoa(size)},
		{"Content-Type", "text/html; charset=utf-8"},
		{"Date", time.Now().UTC().Format(http.TimeFormat)},
		{"Etag", `"0123456789abcdef"`},
		{"Last-Modified", "Tue, 15 Nov 2022 12:45:26 GMT"},
		{"Server", "origin/1.0"},
		{"Strict-Transport-Security", "max-age=63072000"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Request-Id", "c0ffee00-dead-beef-cafe-0123456789ab"},
	}
}

// headerText returns the number of bytes in the names and values of fields.
func headerText(fields []field) (n int) {
	for _, f := range fields {
		n += len(f.Name) + len(f.Value)
	}
	return n
}

func bodyOf(size int) []byte { return bytes.Repeat([]byte("x"), size) }

// bareHandler writes a response, as handlers do.
type bareHandler struct {
	fields []field
	body   []byte
}

func newBareHandler(size int) *bareHandler { return &bareHandler{fieldsFor(size), bodyOf(size)} }

// ServeHTTP implements http.Handler.
func (h *bareHandler) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	for _, f := range h.fields {
		header.Set(f.Name, f.Value)
	}
	w.Write(h.body)
}

// RoundTrip implements http.RoundTripper, as a server without any distance would.
func (h *bareHandler) RoundTrip(r *http.Request) (*http.Response, error) {
	header := make(http.Header, len(h.fields))
	for _, f := range h.fields {
		header.Set(f.Name, f.Value)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, ContentLength: int64(len(h.body)), Body: io.NopCloser(bytes.NewReader(h.body)), Request: r,
	}, nil
}

// blankWriter is a ResponseWriter that costs as little as possible. Like a server's, it has a new
// header for each response.
type blankWriter struct {
	header http.Header
	status int
	bytes  int
}

func (w *blankWriter) Header() http.Header { return w.header }

func (w *blankWriter) WriteHeader(status int) { w.status = status }

func (w *blankWriter) Write(p []byte) (int, error) {
	w.bytes += len(p)
	return len(p), nil
}

// serve lets a handler answer r.
func (w *blankWriter) serve(h http.Handler, r *http.Request) {
	w.header, w.status, w.bytes = make(http.Header), http.StatusOK, 0
	h.ServeHTTP(w, r)
}

// newRequest returns a request as a server, or a client's transport, gets it.
func newRequest(path, query string) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		URL:  &url.URL{Path: path, RawQuery: query},
		Host: "example.test",
		Header: http.Header{
			"Accept":          {"text/html,application/xhtml+xml,*/*;q=0.8"},
			"Accept-Encoding": {"gzip, br"},
			"Accept-Language": {"en-GB,en;q=0.5"},
			"User-Agent":      {"Mozilla/5.0 (X11; Linux x86_64)"},
		},
		RequestURI: path, RemoteAddr: "127.0.0.1:40000",
	}
	if query != "" {
		r.RequestURI += "?" + query
	}
	return r.WithContext(context.Background())
}

// newClientRequest is newRequest for a transport.
func newClientRequest(path, query string) *http.Request {
	r := newRequest(path, query)
	r.RequestURI, r.RemoteAddr = "", ""
	r.URL.Scheme, r.URL.Host = "http", r.Host
	return r
}

// newCache returns a cache with the default policy and all the room that a measurement may need.
func newCache(maxBytes int64) (*middleware.Cache, error) {
	return middleware.New(middleware.Config{MaxBytes: maxBytes, LockWait: time.Minute})
}

const ample = 64 << 30

// checkHit returns an error unless header says that the response comes from Cirque's store.
func checkHit(header http.Header) error {
	if status := header.Get("Cache-Status"); !strings.Contains(status, "; hit") {
		return fmt.Errorf("not a hit: Cache-Status is %q", status)
	}
	return nil
}
