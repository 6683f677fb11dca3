package middleware

import (
	"slices"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// heapRoom is what SoftMemoryLimit adds for the rest of a process, in bytes.
const heapRoom = 40 << 20

// SoftMemoryLimit returns the number to pass to [runtime/debug.SetMemoryLimit], in bytes, for a
// process that holds these caches. By default the garbage collector lets a heap double before it
// collects. Near this limit it collects earlier.
//
// Far below the limit it may collect more rarely: a heap without the bodies is small, so it doubles
// soon. With a limit set, a higher percentage is safe, because the heap then grows to the limit at
// most. For a cache of 256 MiB in 1 KiB responses, debug.SetGCPercent(200) halves the time that the
// collector takes, for 27 MiB of memory. 400 takes a third of that time, for 46 MiB.
//
//	if os.Getenv("GOMEMLIMIT") == "" {
//		debug.SetMemoryLimit(middleware.SoftMemoryLimit(cache))
//		if os.Getenv("GOGC") == "" {
//			debug.SetGCPercent(200)
//		}
//	}
//
// Most of a memcache.MemCache is outside of the heap, on Linux. For that the number is a quarter of
// MaxBytes, for the bookkeeping of small entries. For a Storage on the heap it is 1.25 times its
// limit, and hits become some 7 % slower.
//
// Caches that share a Storage count once. Add what else the process keeps on its heap, such as 48
// KiB for each connection of a server: if the live heap does not fit, the collector runs all the
// time. SoftMemoryLimit may be called at any time; call it again after SetMaxBytes.
func SoftMemoryLimit(caches ...*Cache) int64 {
	limit := int64(heapRoom)
	known := map[*cirque.Budget]bool{}
	for _, c := range caches {
		c.mustBeNew()
		for _, budget := range append(slices.Clone(c.budgets), c.opts.Spool) {
			if known[budget] {
				continue
			}
			known[budget] = true
			switch budget.Medium() {
			case stats.MediumHeap:
				limit += budget.Limit() + budget.Limit()/4
			case stats.MediumOffHeap:
				limit += budget.Limit() / 4
			}
		}
	}
	return limit
}
