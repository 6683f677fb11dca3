package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The kinds of serve rigs.
const (
	serveOrigin = "origin" // any path that is a number gives a body of that length
	serveBare   = "bare"   // the given responses, from a handler
	serveCanned = "canned" // the same, from a reverse proxy whose transport has them ready
)

// newServeRig returns a rig that serves HTTP on loopback until it ends. Its first argument is its
// kind. A second one holds the header fields of its responses, by path, in JSON.
func newServeRig(args []string) (*rig, error) {
	responses := make(map[string]*bareHandler)
	for _, size := range sizes {
		responses[pathOf(size)] = newBareHandler(size)
	}
	if len(args) > 1 {
		var fields map[string][]field
		if err := json.Unmarshal([]byte(args[1]), &fields); err != nil {
			return nil, err
		}
		for path, fields := range fields {
			responses[path].fields = fields
		}
	}
	var h http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if response := responses[r.URL.Path]; response != nil {
			response.ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	})
	if args[0] == serveCanned {
		h = cannedProxy(responses)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	// The timeouts are those of the example, because they are part of the cost of a request.
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	go server.Serve(listener)
	return &rig{address: "http://" + listener.Addr().String()}, nil
}

// sizes of the bodies that go over loopback.
var sizes = []int{1 << 10, 100 << 10, 1 << 20}

func pathOf(size int) string { return "/" + strconv.Itoa(size) }

// cannedProxy is a reverse proxy that is set up like the example's, and whose origin costs nothing.
func cannedProxy(responses map[string]*bareHandler) http.Handler {
	origin, _ := url.Parse("http://127.0.0.1:1")
	return &httputil.ReverseProxy{
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if response := responses[r.URL.Path]; response != nil {
				return response.RoundTrip(r)
			}
			return nil, fmt.Errorf("nothing at %s", r.URL.Path)
		}),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(origin)
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		FlushInterval: -1,
		BufferPool:    &bufferPool{},
		ErrorLog:      log.New(io.Discard, "", 0),
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// bufferPool is a httputil.BufferPool.
type bufferPool struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }

// captured returns the header fields of a hit, for others to write as they are.
func captured(header http.Header) (fields []field) {
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, field{name, value})
		}
	}
	return fields
}

// getHit asks for url until the answer comes from the cache, and returns its header.
func getHit(url string) (http.Header, error) {
	var err error
	for range 10 {
		var response *http.Response
		response, err = http.Get(url)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		if err = checkHit(response.Header); err == nil {
			return response.Header, nil
		}
		time.Sleep(20 * time.Millisecond) // the client may have its answer before it is stored
	}
	return nil, fmt.Errorf("%s: %w", strings.TrimPrefix(url, "http://"), err)
}
