package middleware

import "github.com/cirquecache/cirque"

// heapRoom is what SoftMemoryLimit adds for the rest of a process, in bytes.
const heapRoom = 40 << 20

// SoftMemoryLimit returns the number to pass to [runtime/debug.SetMemoryLimit], in bytes, for a
// process that holds these caches. The garbage collector lets a heap double before it collects;
// near this limit it collects earlier.
//
// Most of a memcache.MemCache is outside of the heap, on Linux. For that the number is a quarter of
// MaxBytes, for the bookkeeping of small entries. For a Storage on the heap it is 1.25 times its
// limit, and hits become some 7 % slower.
//
// Caches that share a Storage count once. Add what else the process keeps on its heap, such as 48
// KiB for each connection of a server: if the live heap does not fit, the collector runs all the
// time. Do not set a limit if the environment has one (GOMEMLIMIT). SoftMemoryLimit may be called
// at any time.
func SoftMemoryLimit(caches ...*Cache) int64 {
	limit := int64(heapRoom)
	known := map[*cirque.Budget]bool{}
	for _, c := range caches {
		c.mustBeNew()
		for _, budget := range c.opts.Budgets() {
			if known[budget] {
				continue
			}
			known[budget] = true
			switch budget.Medium() {
			case cirque.MediumHeap:
				limit += budget.Limit() + budget.Limit()/4
			case cirque.MediumOffHeap:
				limit += budget.Limit() / 4
			}
		}
	}
	return limit
}
