package eviction_test

import (
	"fmt"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

func Example() {
	manager, err := eviction.New(eviction.Default, 1000)
	if err != nil {
		panic(err)
	}
	page := cirque.NewCacheKey("", "https://example.com/", "").Compact()
	film := cirque.NewCacheKey("", "https://example.com/film", "").Compact()
	inAnHour := time.Now().Add(time.Hour)

	manager.Admit(page, 100, inAnHour, 0)
	manager.Admit(film, 900, inAnHour, 0)
	manager.Access(page, 100, inAnHour)
	fmt.Println("full:", manager.TotalWeight(), "bytes")

	evicted := manager.Evict(1)
	fmt.Println("the film leaves:", evicted[0] == film)
	// Output:
	// full: 1000 bytes
	// the film leaves: true
}

func ExampleNewGDSF() {
	// Prefer hits by requests over hits by bytes, and entries that were slow to fetch.
	manager, err := eviction.NewGDSF(eviction.GDSFConfig{
		Config:     eviction.Config{Limit: 512 << 20},
		Alpha:      0.5,
		CostWeight: 0.3,
	})
	if err != nil {
		panic(err)
	}
	slow := cirque.NewCacheKey("", "https://example.com/report", "").Compact()
	quick := cirque.NewCacheKey("", "https://example.com/logo", "").Compact()
	manager.Admit(slow, 4000, time.Time{}, 3*time.Second)
	manager.Admit(quick, 4000, time.Time{}, time.Millisecond)
	fmt.Println(manager.Evict(1)[0] == quick)
	// Output: true
}

func ExampleLRU_PeekLRU() {
	lru, err := eviction.NewLRU(eviction.LRUConfig{Config: eviction.Config{Limit: 1000}, Shards: 1})
	if err != nil {
		panic(err)
	}
	for _, path := range []string{"/a", "/b"} {
		lru.Admit(cirque.NewCacheKey("", path, "").Compact(), 10, time.Time{}, 0)
	}
	lru.Access(cirque.NewCacheKey("", "/a", "").Compact(), 10, time.Time{})
	key, weight, ok := lru.PeekLRU(0)
	fmt.Println(key == cirque.NewCacheKey("", "/b", "").Compact(), weight, ok)
	// Output: true 10 true
}
