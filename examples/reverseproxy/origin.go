package main

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// demoOrigin is a small website on its own port, which the cache serves in the demo.
type demoOrigin struct {
	url    *url.URL
	server *http.Server
}

// startDemoOrigin serves the website on a free port of the loopback interface.
func startDemoOrigin() (*demoOrigin, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &demoOrigin{
		url:    &url.URL{Scheme: "http", Host: listener.Addr().String()},
		server: &http.Server{Handler: newDemoSite(500 * time.Millisecond), ReadHeaderTimeout: 10 * time.Second},
	}
	go o.server.Serve(listener)
	return o, nil
}

func (o *demoOrigin) close() { _ = o.server.Close() }

// newDemoSite returns the website. Every answer has a number, so that a repeated number shows that
// the answer came from the cache. pause is the time between the parts of slow answers.
func newDemoSite(pause time.Duration) http.Handler {
	var answers atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "Hello from the origin.\nThis is answer %d, of %s.\n", answers.Add(1), time.Now().Format(time.TimeOnly))
	})
	// A slow answer that may be stored.
	mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=10")
		n := answers.Add(1)
		for part := range 10 {
			fmt.Fprintf(w, "answer %d, part %d of 10\n", n, part+1)
			if !flushAndWait(w, r, pause) {
				return
			}
		}
	})
	// Stale after a second. During the next half minute it may be served stale while it is fetched
	// anew.
	mux.HandleFunc("GET /stale", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1, stale-while-revalidate=30")
		fmt.Fprintf(w, "answer %d\n", answers.Add(1))
	})
	// Never stored.
	mux.HandleFunc("GET /private", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, no-store")
		fmt.Fprintf(w, "answer %d, for you alone\n", answers.Add(1))
	})
	addDemoPages(mux, pause/10)
	// Server-sent events, without end.
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.Header().Set("Cache-Control", "no-store")
		for n := 1; ; n++ {
			fmt.Fprintf(w, "id: %d\ndata: %s\n\n", n, time.Now().Format(time.TimeOnly))
			if !flushAndWait(w, r, pause) {
				return
			}
		}
	})
	return mux
}

// flushAndWait sends what was written, then waits for pause. It returns false if the client has
// left.
func flushAndWait(w http.ResponseWriter, r *http.Request, pause time.Duration) bool {
	if http.NewResponseController(w).Flush() != nil {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-r.Context().Done():
		return false
	}
}
