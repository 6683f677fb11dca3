// Handler is a JSON API, a plain http.ServeMux, with a cache in front of it.
//
// Try:
//
//	go run ./examples/handler
//
//	curl -i http://127.0.0.1:8082/articles/1     # twice: the second answer is a hit
//	curl -i http://127.0.0.1:8082/articles       # a list, cached as well
//	curl -i -X PUT -d '{"title": "Granite"}' http://127.0.0.1:8082/articles/1
//	curl -i http://127.0.0.1:8082/articles/1     # a miss: the change invalidated it
//	curl -i http://127.0.0.1:8082/articles       # a miss too
//
// The API says in its responses how long they may be stored. No other part of it knows about the
// cache.
package main

import (
	"cmp"
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8082", "where clients connect, an `address`")
	flag.Parse()
	cache, err := middleware.New(middleware.Config{MaxBytes: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening on http://%s", *listen)
	server := &http.Server{Addr: *listen, Handler: cache.Handler(newAPI()), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

type article struct {
	ID    int    `json:"id"`
	Title string `json:"title"`
}

// api is the service: articles that can be read, listed and changed.
type api struct {
	mu       sync.Mutex
	articles map[int]article
}

func newAPI() http.Handler {
	a := &api{articles: map[int]article{1: {1, "Gneiss"}, 2: {2, "Schist"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /articles", a.list)
	mux.HandleFunc("GET /articles/{id}", a.read)
	mux.HandleFunc("PUT /articles/{id}", a.change)
	return mux
}

func (a *api) list(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	all := make([]article, 0, len(a.articles))
	for _, one := range a.articles {
		all = append(all, one)
	}
	a.mu.Unlock()
	slices.SortFunc(all, func(x, y article) int { return cmp.Compare(x.ID, y.ID) })
	// A change of any article changes the list too, which has another URL. So the list belongs to a
	// group (RFC 9875), and change invalidates that group.
	w.Header().Set("Cache-Groups", `"articles"`)
	respond(w, all)
}

func (a *api) read(w http.ResponseWriter, r *http.Request) {
	id, _ := strconv.Atoi(r.PathValue("id"))
	a.mu.Lock()
	one, ok := a.articles[id]
	a.mu.Unlock()
	if !ok {
		http.Error(w, "no such article", http.StatusNotFound)
		return
	}
	respond(w, one)
}

func (a *api) change(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	var changed article
	if err != nil || json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&changed) != nil {
		http.Error(w, "want an article as JSON", http.StatusBadRequest)
		return
	}
	changed.ID = id
	a.mu.Lock()
	a.articles[id] = changed
	a.mu.Unlock()
	// The method is unsafe, so the cache removes the response for this URL (RFC 9111 §4.4). This
	// field makes it remove the responses of the group too.
	w.Header().Set("Cache-Group-Invalidation", `"articles"`)
	w.WriteHeader(http.StatusNoContent)
}

// respond sends a response that the cache may store for a minute.
func respond(w http.ResponseWriter, v any) {
	w.Header().Set("Cache-Control", "max-age=60")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error means that the client has left
}
