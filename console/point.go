package console

import (
	"maps"
	"slices"
	"time"

	"github.com/cirquecache/cirque/stats"
)

// results is how many results a request can have.
const results = int(stats.Unanswered) + 1

// point is what happened between two snapshots, and what there was at the second one.
type point struct {
	from, to time.Time

	requests  [results]uint64 // by stats.Result
	bytes     [results]uint64
	firstByte [results]stats.Histogram
	uncached  map[string]uint64

	fills         uint64
	lockWaits     uint64
	lockTime      stats.Histogram
	evicted       uint64
	evictedBytes  uint64
	unused        uint64
	age           stats.Histogram // of what was evicted
	notModified   uint64
	replaced      uint64
	failed        uint64 // revalidations
	storageErrors uint64
	background    uint64 // failures

	level
}

// level is what there was at one moment.
type level struct {
	inFlight, readers, revalidations int
	stores                           [maxStores]storeLevel
}

// maxStores is how many stores of one cache are shown.
const maxStores = 3

// storeLevel is what one store had.
type storeLevel struct{ entries, index, inFlight, open, limit, count int64 }

// pointBetween returns what happened from the snapshot a to b.
func pointBetween(a, b *stats.Snapshot) point {
	p := point{from: a.At, to: b.At, level: levelOf(b)}
	for i, r := range stats.Results() {
		for _, d := range stats.Doors() {
			p.requests[i] += b.Requests[d][r] - a.Requests[d][r]
		}
		p.bytes[i] = b.Bytes[r] - a.Bytes[r]
		p.firstByte[i] = since(b.FirstByte[r], a.FirstByte[r])
	}
	for reason, n := range b.Uncached {
		if more := n - a.Uncached[reason]; more > 0 {
			if p.uncached == nil {
				p.uncached = make(map[string]uint64)
			}
			p.uncached[reason] = more
		}
	}
	p.fills = b.Fills.Started - a.Fills.Started
	p.lockTime = since(lockTime(b), lockTime(a))
	p.lockWaits = p.lockTime.Count
	if a.Eviction != nil && b.Eviction != nil {
		p.evicted = b.Eviction.Evicted - a.Eviction.Evicted
		p.evictedBytes = b.Eviction.EvictedBytes - a.Eviction.EvictedBytes
		p.unused = b.Eviction.Unused - a.Eviction.Unused
		p.age = since(b.Eviction.Age, a.Eviction.Age)
	}
	before, after := outcomes(a), outcomes(b)
	p.notModified = after.NotModified - before.NotModified
	p.replaced = after.Replaced - before.Replaced
	p.failed = after.Failed - before.Failed
	p.storageErrors = storageErrors(b) - storageErrors(a)
	p.background = b.BackgroundFailures - a.BackgroundFailures
	return p
}

// since returns what came into h since it was earlier, without empty buckets at the ends.
func since(h, earlier stats.Histogram) stats.Histogram {
	d := h.Minus(earlier)
	first, end := 0, len(d.Counts)
	for first < end && d.Counts[first] == 0 {
		first++
	}
	for end > first && d.Counts[end-1] == 0 {
		end--
	}
	d.First, d.Counts = d.First+first, slices.Clone(d.Counts[first:end])
	return d
}

func lockTime(s *stats.Snapshot) (all stats.Histogram) {
	for _, w := range s.LockWaits {
		all = all.Plus(w.Time)
	}
	return all
}

func outcomes(s *stats.Snapshot) stats.Outcomes {
	f, b := s.Revalidations.Foreground, s.Revalidations.Background
	return stats.Outcomes{NotModified: f.NotModified + b.NotModified, Replaced: f.Replaced + b.Replaced, Failed: f.Failed + b.Failed}
}

func storageErrors(s *stats.Snapshot) (n uint64) {
	for _, count := range s.StorageErrors {
		n += count
	}
	return n
}

// levelOf returns what there is at the time of s. If no store reports, the eviction policy knows
// how many bytes there are.
func levelOf(s *stats.Snapshot) level {
	l := level{inFlight: s.Fills.InFlight, readers: s.Fills.Readers, revalidations: s.Revalidations.InFlight}
	for i, store := range s.Storage[:min(len(s.Storage), maxStores)] {
		known := func(n int64) int64 { return max(n, 0) }
		l.stores[i] = storeLevel{
			entries: known(store.Bytes.Entries), index: known(store.Bytes.Index),
			inFlight: known(store.Bytes.InFlight), open: known(store.Bytes.Open),
			limit: known(store.Limit), count: known(store.Entries),
		}
	}
	if len(s.Storage) == 0 && s.Eviction != nil {
		l.stores[0] = storeLevel{entries: s.Eviction.Bytes, limit: s.Eviction.Limit, count: s.Eviction.Entries}
	}
	return l
}

// then returns p and the point that follows it as one.
func (p point) then(next point) point {
	next.from = p.from
	for i := range next.requests {
		next.requests[i] += p.requests[i]
		next.bytes[i] += p.bytes[i]
		next.firstByte[i] = next.firstByte[i].Plus(p.firstByte[i])
	}
	if len(p.uncached) > 0 {
		both := maps.Clone(p.uncached)
		for reason, n := range next.uncached {
			both[reason] += n
		}
		next.uncached = both
	}
	next.fills += p.fills
	next.lockWaits += p.lockWaits
	next.lockTime = next.lockTime.Plus(p.lockTime)
	next.evicted += p.evicted
	next.evictedBytes += p.evictedBytes
	next.unused += p.unused
	next.age = next.age.Plus(p.age)
	next.notModified += p.notModified
	next.replaced += p.replaced
	next.failed += p.failed
	next.storageErrors += p.storageErrors
	next.background += p.background
	return next
}
