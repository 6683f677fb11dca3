package middleware

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
	"github.com/cirquecache/cirque/internal/metric"
	"github.com/cirquecache/cirque/internal/mrc"
	"github.com/cirquecache/cirque/stats"
)

// curve estimates what other limits would do than the one that the cache had when the curve was
// made. It is nil where the policy is not one of package eviction, or there is no limit.
type curve struct {
	estimator *mrc.Estimator
	observed  *metric.Sharded[observed]
}

// observed counts the requests that the estimator has observed.
type observed struct{ requests, bytes, missed, missedBytes atomic.Uint64 }

// newCurve returns the curve of a cache with these options.
func newCurve(opts *cirque.CacheOptions) *curve {
	reporter, ok := opts.Eviction.(stats.EvictionReporter)
	if !counting || !ok {
		return nil
	}
	c := &curve{observed: metric.NewSharded[observed]()}
	e := reporter.EvictionStats()
	estimator, err := mrc.New(mrc.Config{Policy: e.Policy, Limit: e.Limit, Totals: c.totals})
	if err != nil {
		return nil // another policy, or a limit that is too small to be scaled down
	}
	c.estimator = estimator
	return c
}

func (c *curve) totals() (sum mrc.Totals) {
	for shard := range c.observed.All() {
		sum.Requests += shard.requests.Load()
		sum.Bytes += shard.bytes.Load()
		sum.Missed += shard.missed.Load()
		sum.MissedBytes += shard.missedBytes.Load()
	}
	return sum
}

// entrySeen is what the curve has to know of the entry that answers a request.
type entrySeen struct {
	curve      *curve // that observes the request; nil: none does
	hash       uint64 // of the key
	weight     int64
	freshUntil int64 // Unix nanoseconds
	unweighed  bool  // weight is without the body, which is still coming
	length     int64 // what that body was announced to have; negative if unknown
}

// entryWeight is about what an entry weighs beyond its key, meta and body.
const entryWeight = 192

// seen returns what the curve has to know of the entry that answers x.
func (c *curve) seen(x *transaction, hit cirque.HitHandler, meta *cirque.CacheMeta) entrySeen {
	key := x.hc.Key().Compact()
	s := entrySeen{curve: c, hash: c.estimator.Hash(&key), freshUntil: meta.FreshUntil().UnixNano()}
	if x.result != stats.Miss {
		s.weight = hit.Weight()
		return s
	}
	s.weight = int64(entryWeight + len(x.hc.Key().Primary()) + meta.MetaSize())
	s.unweighed, s.length = true, field.Length(http.Header{"Content-Length": meta.Header().Values("Content-Length")})
	return s
}

// observe takes note of a request that is over.
func (c *curve) observe(m *meter) {
	r := mrc.Request{Weight: m.entry.weight, Bytes: m.bytes, FreshUntil: time.Unix(0, m.entry.freshUntil)}
	switch m.result {
	case stats.Hit, stats.Stale, stats.Collapsed:
		r.Outcome = mrc.Hit
	case stats.Revalidated:
		r.Outcome = mrc.Revalidated
	case stats.Miss:
		r.Outcome = mrc.Missed
		if m.replaced {
			r.Outcome = mrc.Replaced
		}
	default:
		return
	}
	if m.entry.unweighed {
		r.Weight += max(m.entry.length, m.bytes)
	}
	shard := c.observed.Any()
	shard.requests.Add(1)
	shard.bytes.Add(uint64(m.bytes))
	if m.result == stats.Miss {
		shard.missed.Add(1)
		shard.missedBytes.Add(uint64(m.bytes))
	}
	c.estimator.Observe(m.entry.hash, r)
}
