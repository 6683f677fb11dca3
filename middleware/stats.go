package middleware

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/metric"
	"github.com/cirquecache/cirque/stats"
)

// Stats returns what the cache has done since it was made, and what it has now. A snapshot costs
// requests nothing, and itself less than a millisecond: it may be taken every second.
func (c *Cache) Stats() stats.Snapshot {
	c.mustBeNew()
	s := stats.Snapshot{
		Name: c.cfg.Name, Since: c.counters.since, At: time.Now(),
		Requests:  make(map[stats.Door]map[stats.Result]uint64),
		FirstByte: make(map[stats.Result]stats.Histogram), Duration: make(map[stats.Result]stats.Histogram),
		Bytes: make(map[stats.Result]uint64),
	}
	c.counters.addTo(&s)
	s.Fills.InFlight, s.Fills.Readers, s.Fills.Max = c.fills.now()
	s.Fills.Max = c.cfg.MaxFills
	s.Revalidations.InFlight, s.Revalidations.Max = c.revalidations.now(), c.cfg.MaxRevalidations
	return s
}

// counters are what a cache counts.
type counters struct {
	since    time.Time
	requests *metric.Sharded[requestCounters]

	uncached named

	fillsStarted atomic.Uint64
	fillBytes    atomic.Uint64
	fillsDone    named

	lockWaits sync.Map // of *metric.Histogram by cirque.LockStatus

	foreground, background outcomes
	failures               atomic.Uint64 // in the background
}

// requestCounters are what each request counts.
type requestCounters struct {
	door [doorCount][stats.Unanswered + 1]atomic.Uint64
	by   [stats.Unanswered + 1]struct {
		bytes               atomic.Uint64
		firstByte, duration metric.Histogram
	}
}

type outcomes struct{ notModified, replaced, failed atomic.Uint64 }

func (o *outcomes) snapshot() stats.Outcomes {
	return stats.Outcomes{NotModified: o.notModified.Load(), Replaced: o.replaced.Load(), Failed: o.failed.Load()}
}

// named are counts by name. Names beyond maxNames count as "other": what names them is code, a
// filter's above all, and its names have no bound.
type named struct {
	mu     sync.Mutex
	counts map[string]uint64
}

const maxNames = 64

func (n *named) add(name string) {
	if !counting {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.counts == nil {
		n.counts = make(map[string]uint64)
	}
	if _, known := n.counts[name]; !known && len(n.counts) >= maxNames {
		name = "other"
	}
	n.counts[name]++
}

func (n *named) snapshot() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := make(map[string]uint64, len(n.counts))
	for name, count := range n.counts {
		counts[name] = count
	}
	return counts
}

func newCounters() *counters {
	return &counters{since: time.Now(), requests: metric.NewSharded[requestCounters]()}
}

func (n *counters) addTo(s *stats.Snapshot) {
	for _, d := range stats.Doors() {
		s.Requests[d] = make(map[stats.Result]uint64)
	}
	for _, r := range stats.Results() {
		var firstByte, duration stats.Histogram
		for shard := range n.requests.All() {
			for _, d := range stats.Doors() {
				s.Requests[d][r] += shard.door[d][r].Load()
			}
			s.Bytes[r] += shard.by[r].bytes.Load()
			shard.by[r].firstByte.AddTo(&firstByte)
			shard.by[r].duration.AddTo(&duration)
		}
		s.FirstByte[r], s.Duration[r] = firstByte, duration
	}
	s.Uncached = n.uncached.snapshot()
	s.Fills.Started, s.Fills.Bytes, s.Fills.Done = n.fillsStarted.Load(), n.fillBytes.Load(), n.fillsDone.snapshot()
	for status := cirque.LockDone; status <= cirque.LockWaitTimeout; status++ {
		if h, ok := n.lockWaits.Load(status); ok {
			w := stats.LockWaits{Status: status.String()}
			h.(*metric.Histogram).AddTo(&w.Time)
			s.LockWaits = append(s.LockWaits, w)
		}
	}
	s.Revalidations.Foreground, s.Revalidations.Background = n.foreground.snapshot(), n.background.snapshot()
	s.BackgroundFailures = n.failures.Load()
}

// request counts a request that is over.
func (n *counters) request(d door, m *meter, duration time.Duration) {
	shard := n.requests.Any()
	shard.door[d][m.result].Add(1)
	by := &shard.by[m.result]
	if m.bytes > 0 {
		by.bytes.Add(uint64(m.bytes))
	}
	by.firstByte.Observe(m.firstByte)
	by.duration.Observe(duration)
}
