package main

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// origin is the server behind the caches. A check sets what it does for a path.
type origin struct {
	addr   string
	server *http.Server

	mu    sync.Mutex
	pages map[string]http.HandlerFunc
	asked map[string]int
	// confirmed counts the conditional requests.
	confirmed map[string]int
}

func startOrigin() (*origin, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{
		addr:  listener.Addr().String(),
		pages: make(map[string]http.HandlerFunc), asked: make(map[string]int), confirmed: make(map[string]int),
	}
	o.server = &http.Server{Handler: o, ReadHeaderTimeout: 10 * time.Second}
	go o.server.Serve(listener)
	return o, nil
}

func (o *origin) close() { _ = o.server.Close() }

// serve makes page the answer for path.
func (o *origin) serve(path string, page http.HandlerFunc) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pages[path] = page
}

// books returns the number of requests for path, and the number of conditional ones among them.
func (o *origin) books(path string) (asked, confirmed int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[path], o.confirmed[path]
}

// ServeHTTP implements http.Handler.
func (o *origin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	page := o.pages[r.URL.Path]
	o.asked[r.URL.Path]++
	if r.Header.Get("If-None-Match") != "" {
		o.confirmed[r.URL.Path]++
	}
	o.mu.Unlock()
	if page == nil {
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, "ready")
		return
	}
	page(w, r)
}
