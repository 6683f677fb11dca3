package tiered_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// Memory in front of a disk.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	disk, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: 100 << 30})
	if err != nil {
		log.Fatal(err)
	}
	defer disk.Close()

	budget := cirque.NewBudget(256 << 20)
	memory := memcache.New(memcache.Config{Budget: budget})
	manager, err := eviction.New(eviction.Default, 256<<20)
	if err != nil {
		log.Fatal(err)
	}
	budget.EvictWith(manager, memory)
	storage := tiered.New(memory, disk, tiered.Config{UpperEviction: manager})
	cache, err := middleware.New(middleware.Config{Storage: storage, Eviction: disk.Eviction()})
	if err != nil {
		log.Fatal(err)
	}

	fmt.Println(cache.Close(context.Background()))
	// Output: <nil>
}
