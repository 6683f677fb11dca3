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

// The cache survives a restart: the second process serves what the first one stored.
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
		defer cache.Close(context.Background()) // waits for the writes under way
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

// A cache on disk gets the store and the store's eviction manager.
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
