// Put is a server without an origin. It serves responses that were put into it, while they are
// fresh.
//
// Try:
//
//	go run ./examples/put
//
//	printf %b 'HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n' \
//		'Content-Type: text/plain\r\n\r\nHello\n' |
//		curl -i -T - http://127.0.0.1:8081/hello
//	curl -i http://127.0.0.1:8081/hello
//
// The first command sends a response, as the bytes of an HTTP message, to be stored under /hello.
// The second command gets it. A response that says no-store, or whose Content-Length is not met, is
// refused.
//
// The program shows package put, and how a server drives a walk through the cache by hand.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"strconv"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/put"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "where clients connect, an `address`")
	flag.Parse()
	handler, err := newServer(64 << 20)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", *listen)
	server := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// newServer returns a server that stores responses in limit bytes of memory.
func newServer(limit int64) (http.Handler, error) {
	manager, err := eviction.New(eviction.Default, limit)
	if err != nil {
		return nil, err
	}
	budget := cirque.NewBudget(limit)
	store := memcache.New(memcache.Config{Budget: budget})
	budget.EvictWith(manager, store)
	s := &server{&cirque.CacheOptions{
		Storage:        store,
		Eviction:       manager,
		Lock:           cirque.NewCacheLock(cirque.CacheLockConfig{}),
		MaxObjectBytes: limit / 8,
	}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", s.get)
	mux.HandleFunc("PUT /", s.put)
	return mux, nil
}

type server struct{ opts *cirque.CacheOptions }

// keyOf returns the key of a GET for r's URL.
func keyOf(r *http.Request) cirque.CacheKey {
	primary, _ := middleware.DefaultKey(r)
	return cirque.NewCacheKey("", primary, "")
}

// put stores the response in r's body.
func (s *server) put(w http.ResponseWriter, r *http.Request) {
	// get is the request that the response would have answered. It has the fields that the client
	// sent with the PUT, because the response may vary on them.
	get := &http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host, Header: r.Header.Clone()}
	p := put.New(r.Context(), s.opts, keyOf(r), get, put.Config{})
	defer p.Abort()
	if _, err := io.Copy(p, r.Body); err != nil && p.Err() == nil {
		return // the client left
	}
	var refused *put.NotStoredError
	switch err := p.Finish(); {
	case err == nil:
		w.WriteHeader(http.StatusCreated)
	case errors.As(err, &refused):
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
	default:
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

// get serves the stored response. It shows the shortest walk through the cache.
func (s *server) get(w http.ResponseWriter, r *http.Request) {
	var walk cirque.HttpCache
	defer walk.Release()
	walk.Enable(s.opts)
	walk.SetKey(keyOf(r))
	meta, hit, err := walk.Lookup(r.Context())
	if err == nil && meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = walk.VaryLookup(r.Context(), meta, hit, r.Header, nil)
	}
	if err != nil {
		http.Error(w, "nothing was put here", http.StatusNotFound)
		return
	}
	now := time.Now()
	status := cirque.HitExpired
	if meta.IsFresh(now) {
		status = cirque.HitFresh
	}
	walk.Found(meta, hit, status)
	if !status.IsFresh() {
		http.Error(w, "what was put here is stale", http.StatusNotFound)
		return
	}
	meta.Header().CopyTo(w.Header())
	w.Header().Set("Age", strconv.Itoa(int(meta.Age(now).Seconds())))
	w.Header().Set("Cache-Status", fmt.Sprintf("Put; hit; ttl=%d", int(-meta.Staleness(now).Seconds())))
	w.WriteHeader(meta.StatusCode())
	if _, err := io.Copy(w, hit); err != nil {
		panic(http.ErrAbortHandler) // an incomplete body must not look complete
	}
}
