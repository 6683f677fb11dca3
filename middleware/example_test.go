package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
)

// The cache stands in front of a handler, here a ServeMux. A hit does not reach the handler.
func ExampleCache_Handler() {
	cache, err := middleware.New(middleware.Config{MaxBytes: 512 << 20})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "Hello, ", r.URL.Query().Get("name"))
	})
	server := &http.Server{Addr: ":8080", Handler: cache.Handler(mux)}

	// This is what server.ListenAndServe would do for three requests:
	for _, name := range []string{"Ann", "Ann", "Bob"} {
		w := httptest.NewRecorder()
		server.Handler.ServeHTTP(w, httptest.NewRequest("GET", "/hello?name="+name, nil))
		fmt.Println(w.Body, "- hit:", strings.Contains(w.Header().Get("Cache-Status"), "; hit"))
	}
	// Output:
	// Hello, Ann - hit: false
	// Hello, Ann - hit: true
	// Hello, Bob - hit: false
}

// The cache is the transport of an API client. For a client that acts for one user it is a private
// cache.
func ExampleCache_Transport() {
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, "21 °C")
	}))
	defer api.Close()
	get := func(client *http.Client) {
		resp, err := client.Get(api.URL + "/temperature")
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		fmt.Printf("%s - hit: %t\n", body, strings.Contains(resp.Header.Get("Cache-Status"), "; hit"))
	}

	cache, err := middleware.New(middleware.Config{Private: true, SingleUser: true})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{
		Transport: cache.Transport(nil), // nil is http.DefaultTransport
		Timeout:   10 * time.Second,
	}
	get(client)
	get(client)
	// Output:
	// 21 °C - hit: false
	// 21 °C - hit: true
}

// The cache is the transport of a ReverseProxy. The other way round, cache.Handler(proxy), is
// faster, as hits do not pass through the proxy.
func ExampleCache_Transport_reverseProxy() {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "Hello")
	}))
	defer origin.Close()
	target, _ := url.Parse(origin.URL)

	cache, err := middleware.New(middleware.Config{})
	if err != nil {
		log.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: cache.Transport(nil),
	}

	for range 2 {
		w := httptest.NewRecorder()
		proxy.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
		fmt.Println(w.Body, "- hit:", strings.Contains(w.Header().Get("Cache-Status"), "; hit"))
	}
	// Output:
	// Hello - hit: false
	// Hello - hit: true
}

// A purge removes what a GET for the URL would find. PURGE requests do the same if AuthorizePurge
// allows them.
func ExampleCache_Purge() {
	cache, err := middleware.New(middleware.Config{
		AuthorizePurge: func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer secret" },
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, "news")
	}))
	send := func(method, authorization string) {
		r := httptest.NewRequest(method, "http://example.com/news", nil)
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Println(method, w.Code)
	}

	send("GET", "")
	send("PURGE", "")
	send("PURGE", "Bearer secret")
	send("PURGE", "Bearer secret")

	send("GET", "")
	news := httptest.NewRequest("GET", "http://example.com/news", nil)
	fmt.Println(cache.Purge(context.Background(), news))
	fmt.Println(errors.Is(cache.Purge(context.Background(), news), cirque.ErrNotFound))
	// Output:
	// GET 200
	// PURGE 403
	// PURGE 200
	// PURGE 404
	// GET 200
	// <nil>
	// true
}

// countingStorage is a custom Storage that counts entries and leaves the rest to another Storage.
type countingStorage struct {
	cirque.StreamingStorage
	stored atomic.Int64
}

func (s *countingStorage) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	s.stored.Add(1)
	return s.StreamingStorage.MissHandler(ctx, key, meta, opts)
}

// A custom Storage with an eviction policy and a hard budget.
func ExampleConfig_storage() {
	const limit = 64 << 20
	manager, err := eviction.New("lru", limit)
	if err != nil {
		log.Fatal(err)
	}
	budget := cirque.NewBudget(limit)
	store := &countingStorage{StreamingStorage: memcache.New(memcache.Config{Budget: budget})}
	budget.EvictWith(manager, store)
	cache, err := middleware.New(middleware.Config{Storage: store, Eviction: manager, MaxBytes: limit})
	if err != nil {
		log.Fatal(err)
	}

	handler := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		fmt.Fprint(w, r.URL.Path)
	}))
	for _, path := range []string{"/a", "/b", "/a"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
	}
	fmt.Println(store.stored.Load(), "stored, some bytes used:", budget.Used() > 0)
	// Output:
	// 2 stored, some bytes used: true
}

// Why is this URL not cached?
func ExampleCache_Explain() {
	cache, err := middleware.New(middleware.Config{})
	if err != nil {
		log.Fatal(err)
	}
	page := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "private, max-age=60")
		fmt.Fprint(w, "Hello")
	}))
	page.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "https://www.example.com/hello", nil))

	r, err := http.NewRequest("GET", "https://www.example.com/hello", nil)
	if err != nil {
		log.Fatal(err)
	}
	why := cache.Explain(r) // changes nothing, and asks nobody
	fmt.Println(why.Now)
	fmt.Println(why.Refused.Text, why.Refused.Section)
	// Output:
	// fetch
	// The response is private, and this cache is shared. RFC 9111 §5.2.2.7
}
