// Customstorage runs the cache on a custom Storage that keeps bodies compressed. The Storage is
// store.go, about 150 lines.
//
// Try:
//
//	go run ./examples/customstorage
//
//	curl -si http://127.0.0.1:8083/squares/10000 | head     # twice: a miss, then a hit
//	curl -s http://127.0.0.1:8083/storage                   # how many bytes that takes
//	curl -si -X PURGE http://127.0.0.1:8083/squares/10000
//
// The package storagetest checks that such a Storage keeps the rules:
//
//	go test -race -v ./examples/customstorage
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/middleware"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8083", "where clients connect, an `address`")
	flag.Parse()
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", *listen)
	server := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

func newHandler() (http.Handler, error) {
	// The Storage keeps what it is given. The EvictionManager says what must leave, by the weights
	// that the Storage reports.
	manager, err := eviction.New(eviction.Default, 64<<20)
	if err != nil {
		return nil, err
	}
	store := newStore()
	cache, err := middleware.New(middleware.Config{
		Storage:        store,
		Eviction:       manager,
		AuthorizePurge: fromThisHost,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/squares/{n}", cache.Handler(http.HandlerFunc(squares)))
	mux.HandleFunc("GET /storage", func(w http.ResponseWriter, _ *http.Request) { report(w, store, manager) })
	return mux, nil
}

func fromThisHost(r *http.Request) bool {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback()
}

// squares is the service behind the cache: a table that compresses well.
func squares(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil || n < 0 || n > 100_000 {
		http.Error(w, "want a number up to 100000", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "max-age=60")
	for i := range n {
		fmt.Fprintf(w, "%d squared is %d\n", i, i*i)
	}
}

func report(w http.ResponseWriter, s *store, manager cirque.EvictionManager) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept, whole int64
	for _, e := range s.entries {
		kept += int64(len(e.body))
		whole += e.size
	}
	fmt.Fprintf(w, "%d bodies of %d bytes are kept in %d; with their headers they weigh %d\n",
		len(s.entries), whole, kept, manager.TotalWeight())
}
