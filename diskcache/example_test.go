package diskcache_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/middleware"
)

// A restart keeps the cache: what the first process stored, the second one serves.
func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println("the origin is asked")
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "hello")
	})

	process := func() {
		store, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: 1 << 30})
		if err != nil {
			log.Fatal(err)
		}
		defer store.Close()
		cache, err := middleware.New(middleware.Config{Storage: store, Eviction: store.Eviction()})
		if err != nil {
			log.Fatal(err)
		}
		defer cache.Close(context.Background()) // ends what is being stored
		answer := httptest.NewRecorder()
		cache.Handler(origin).ServeHTTP(answer, httptest.NewRequest("GET", "http://example.com/", nil))
		fmt.Println(answer.Body)
	}
	process()
	process()
	// Output:
	// the origin is asked
	// hello
	// hello
}

// A cache on disk. The store's eviction manager goes with it.
func ExampleOpen() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	store, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: 100 << 30})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	cache, err := middleware.New(middleware.Config{Storage: store, Eviction: store.Eviction()})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(cache.Close(context.Background()))
	// Output: <nil>
}
