package middleware

import (
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
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
	s.Fills.InFlight, s.Fills.Readers = c.fills.now()
	s.Fills.Max = c.cfg.MaxFills
	if r, ok := c.opts.Storage.(stats.StorageReporter); ok {
		s.Storage = r.StorageStats()
	}
	if curve := c.curve.Load(); curve != nil {
		s.Curve = curve.estimator.Curve()
	}
	if r, ok := c.opts.Eviction.(stats.EvictionReporter); ok {
		e := r.EvictionStats()
		s.Eviction = &e
	}
	s.Revalidations.InFlight, s.Revalidations.Max = c.revalidations.now(), c.cfg.MaxRevalidations
	return s
}

// counters are what a cache counts.
type counters struct {
	since    time.Time
	requests *metric.Sharded[requestCounters]

	uncached named

	origin struct{ requests, failed, again, stoodIn atomic.Uint64 }

	fillsStarted atomic.Uint64
	fillBytes    atomic.Uint64
	fillsDone    named

	storageErrors named // by operation
	purges        [purgeKinds][2]purgeCounters

	lockWaits sync.Map // of *metric.Histogram by cirque.LockStatus

	foreground, background outcomes
	failures               atomic.Uint64 // in the background

	variantCounts metric.Histogram // a second stands for a variant
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

// named are counts by name. Names beyond maxNames count as "other", because code such as a filter
// can make up any number of names.
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
	maps.Copy(counts, n.counts)
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
	s.Origin = stats.Origin{
		Requests: n.origin.requests.Load(), Failed: n.origin.failed.Load(), Again: n.origin.again.Load(), StoodIn: n.origin.stoodIn.Load(),
	}
	s.Fills.Started, s.Fills.Bytes, s.Fills.Done = n.fillsStarted.Load(), n.fillBytes.Load(), n.fillsDone.snapshot()
	for status := cirque.LockWaiting; status <= cirque.LockUpstreamError; status++ {
		if h, ok := n.lockWaits.Load(status); ok {
			w := stats.LockWaits{Status: status.String()}
			h.(*metric.Histogram).AddTo(&w.Time)
			s.LockWaits = append(s.LockWaits, w)
		}
	}
	s.Revalidations.Foreground, s.Revalidations.Background = n.foreground.snapshot(), n.background.snapshot()
	s.BackgroundFailures = n.failures.Load()
	s.Purges = n.purgeStats()
	n.variantCounts.AddTo(&s.Variants)
	s.StorageErrors = n.storageErrors.snapshot()
}

// request counts a request that is over.
func (n *counters) request(m *meter, duration time.Duration) {
	shard := n.requests.Any()
	shard.door[m.cameBy][m.result].Add(1)
	by := &shard.by[m.result]
	if m.bytes > 0 {
		by.bytes.Add(uint64(m.bytes))
	}
	if m.firstByte > 0 {
		by.firstByte.Observe(m.firstByte)
	}
	by.duration.Observe(duration)
}

// variants counts the variants of the vary record that a lookup came by, for a sample of lookups: a
// record is unpacked for it.
func (n *counters) variants(x *transaction) {
	if !counting || x.dry != nil || rand.Uint32()%variantsSample != 0 {
		return
	}
	if record := x.hc.VaryRecord(); record != nil {
		n.variantCounts.Observe(time.Duration(len(record.Variants)) * time.Second)
	}
}

const variantsSample = 64

// keptOut counts a request in which the cache takes no part, such as an upgrade. It may take hours,
// so its times are not counted.
func (n *counters) keptOut(d door) {
	n.requests.Any().door[d][stats.Bypass].Add(1)
	n.origin.requests.Add(1)
}

// decided counts what was decided about an answer of the origin.
func (n *counters) decided(x *transaction, status int, f fate, validates bool) {
	if !counting {
		return
	}
	if f == fatePass {
		reason := x.status.detail
		switch {
		case reason != "":
		case x.upstream.as != storeNothing && x.sent().Method == http.MethodHead:
			reason = "head" // nothing of it could be stored (RFC 9111 §3)
		default:
			reason = x.status.fwd
		}
		n.uncached.add(reason)
	}
	switch {
	case f == fateRetry:
		n.origin.again.Add(1)
	case f == fateDiscard && status >= 500:
		n.origin.stoodIn.Add(1)
	}
	if !validates && f != fateDiscard { // an answer to a second HEAD, without conditions, can confirm too
		return
	}
	switch o := n.outcomes(x); {
	case status >= 500:
		o.failed.Add(1)
	case f == fateDiscard: // a 304, or a 200 to a HEAD
		o.notModified.Add(1)
	default:
		o.replaced.Add(1)
	}
}

// fetchFailed counts a validation to which the origin sent no answer.
func (n *counters) fetchFailed(x *transaction) {
	if counting && len(x.upstream.validators) > 0 {
		n.outcomes(x).failed.Add(1)
	}
}

func (n *counters) outcomes(x *transaction) *outcomes {
	if x.background {
		return &n.background
	}
	return &n.foreground
}

// lockWait counts a wait.
func (n *counters) lockWait(status cirque.LockStatus, spent time.Duration) {
	if !counting {
		return
	}
	h, ok := n.lockWaits.Load(status)
	if !ok {
		h, _ = n.lockWaits.LoadOrStore(status, new(metric.Histogram))
	}
	h.(*metric.Histogram).Observe(spent)
}

// fillDone counts a fill that has ended. reused bytes of it did not come from the origin.
func (n *counters) fillDone(fill *cirque.Fill, reused int64) {
	n.fillBytes.Add(uint64(max(fill.Written()-reused, 0)))
	n.fillsDone.add(fillOutcome(fill))
}

// fillOutcome says in a word how a fill ended.
func fillOutcome(fill *cirque.Fill) string {
	err, reason := fill.Err(), fill.NoCacheReason()
	switch {
	case errors.Is(err, cirque.ErrSuperseded):
		return "superseded"
	case errors.Is(err, cirque.ErrPurged):
		return "purged"
	case reason == "" && err == nil:
		return "stored"
	case reason == cirque.ResponseTooLarge:
		return "too-large"
	case reason == cirque.StorageError:
		return "storage-error"
	case reason == cirque.UpstreamError:
		return "upstream-error"
	}
	return "other"
}

// purgeKind is what a purge is of.
type purgeKind uint8

const (
	purgeOfKey purgeKind = iota
	purgeOfGroup
	purgeOfAll
	purgeByRequest // an invalidation (RFC 9111 §4.4)
	purgeKinds
)

var purgeKindNames = [purgeKinds]string{"key", "group", "all", "invalidation"}

type purgeCounters struct{ done, notFound, failed atomic.Uint64 }

// purged counts a purge, and returns its error.
func (n *counters) purged(kind purgeKind, soft bool, err error) error {
	p := &n.purges[kind][0]
	if soft {
		p = &n.purges[kind][1]
	}
	switch {
	case err == nil:
		p.done.Add(1)
	case errors.Is(err, cirque.ErrNotFound):
		p.notFound.Add(1)
	default:
		p.failed.Add(1)
	}
	return err
}

// purgeStats returns the purges of all kinds, soft ones where there can be any.
func (n *counters) purgeStats() (all []stats.Purges) {
	for kind := range n.purges {
		for soft := range n.purges[kind] {
			if soft == 1 && purgeKind(kind) != purgeOfKey {
				continue
			}
			p := &n.purges[kind][soft]
			all = append(all, stats.Purges{
				Kind: purgeKindNames[kind], Soft: soft == 1,
				Done: p.done.Load(), NotFound: p.notFound.Load(), Failed: p.failed.Load(),
			})
		}
	}
	return all
}
