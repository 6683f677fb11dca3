package predictor_test

import (
	"fmt"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/predictor"
)

func Example() {
	p := predictor.New(predictor.Config{
		Remember: 30 * time.Second,
		SkipCustom: func(reason cirque.NoCacheReason) bool {
			return reason == cirque.Custom("canary") // says nothing about the next response
		},
	})
	account := cirque.NewCacheKey("", "https://example.com/account", "")

	p.MarkUncacheable(account, cirque.Custom("canary"))
	fmt.Println(p.CacheablePrediction(account))
	p.MarkUncacheable(account, cirque.OriginNotCache)
	fmt.Println(p.CacheablePrediction(account))
	p.MarkCacheable(account)
	fmt.Println(p.CacheablePrediction(account))
	// Output:
	// true
	// false
	// true
}
