package ledger

import (
	"net/http"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// Miscounts are caches that count wrongly, by name. Each prepares a Config, and returns what to do
// with each Snapshot of the cache that is made of it. Compare must find every one of them.
var Miscounts = map[string]func(cfg *middleware.Config) func(*stats.Snapshot){
	"forgets HEAD": func(cfg *middleware.Config) func(*stats.Snapshot) {
		return without(cfg, func(r stats.Request) bool { return r.Request.Method == http.MethodHead })
	},
	"forgets ranges": func(cfg *middleware.Config) func(*stats.Snapshot) {
		return without(cfg, func(r stats.Request) bool { return r.Status == http.StatusPartialContent })
	},
	"forgets bytes of ranges": func(cfg *middleware.Config) func(*stats.Snapshot) {
		var mu sync.Mutex
		bytes := make(map[stats.Result]uint64)
		cfg.Trace = &cirque.CacheTrace{RequestDone: func(r stats.Request) {
			mu.Lock()
			defer mu.Unlock()
			if r.Status == http.StatusPartialContent && !r.Background {
				bytes[r.Result] += uint64(r.Bytes)
			}
		}}
		return func(s *stats.Snapshot) {
			mu.Lock()
			defer mu.Unlock()
			for result, n := range bytes {
				s.Bytes[result] -= n
			}
		}
	},
	"counts a retry twice": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) { s.Origin.Requests += s.Origin.Again }
	},
	"counts a retry as an answer": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) { s.Uncached["retry"] += s.Origin.Again }
	},
	"counts a stale response as a hit": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) {
			for _, results := range s.Requests {
				results[stats.Hit] += results[stats.Stale]
				results[stats.Stale] = 0
			}
		}
	},
	"forgets what is not stored": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) { clear(s.Uncached) }
	},
	"forgets failed fills": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) { delete(s.Fills.Done, "upstream-error") }
	},
	"forgets requests in the background": func(*middleware.Config) func(*stats.Snapshot) {
		return func(s *stats.Snapshot) { s.Origin.Requests -= s.Revalidations.Background.NotModified }
	},
}

// without takes the requests that match out of the counts by result.
func without(cfg *middleware.Config, match func(stats.Request) bool) func(*stats.Snapshot) {
	type place struct {
		door   stats.Door
		result stats.Result
	}
	var mu sync.Mutex
	forgotten := make(map[place]uint64)
	cfg.Trace = &cirque.CacheTrace{RequestDone: func(r stats.Request) {
		mu.Lock()
		defer mu.Unlock()
		if match(r) && !r.Background {
			forgotten[place{r.Door, r.Result}]++
		}
	}}
	return func(s *stats.Snapshot) {
		mu.Lock()
		defer mu.Unlock()
		for at, n := range forgotten {
			s.Requests[at.door][at.result] -= n
		}
	}
}
