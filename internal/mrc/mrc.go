// Package mrc estimates the miss-ratio curve of a running cache: which share of the requests it
// would answer with less memory, and with more.
//
// For each size of the curve there is a small cache, which holds keys and weights and no bodies. It
// runs the policy of the cache, and sees the requests for a sample of the keys, chosen by hash.
// Each entry in it weighs as much as all those that it stands for (SHARDS: Carl Waldspurger et al.,
// Efficient MRC Construction with SHARDS, FAST 2015). As each size has a rate of its own, each
// small cache holds about as many keys as the others.
//
// The rates begin at one and fall as keys come in, so that an [Estimator] takes half a megabyte and
// little time, whatever the size of the cache and the number of requests.
//
// The estimate is for the policies of package eviction with their default settings, and for
// requests like those of the past.
package mrc

import (
	"encoding/binary"
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// ratios are the sizes of the curve, as shares of the limit.
var ratios = [...]float64{1. / 8, 1. / 4, 1. / 2, 1, 2, 4, 8}

// The defaults of Config.
const (
	DefaultMaxKeys      = 400
	DefaultMaxPerSecond = 10_000
)

// Config configures an Estimator.
type Config struct {
	// Policy is the name of the cache's eviction policy, as package eviction has it.
	Policy string

	// Limit is the cache's limit in bytes. It must be positive.
	Limit int64

	// Totals returns the numbers of all requests that were observed: their number and that of those
	// with the outcomes Missed and Replaced, and the sums of their Request.Bytes. The estimates are
	// made for the sample, and then corrected by what the totals and the same numbers of the sample
	// say about it. It must be safe for concurrent use. If nil, the estimates stay as they are,
	// which are several times less exact: a sample may lack a popular key, or a large one.
	Totals func() Totals

	// MaxKeys is the most keys that each of seven small caches holds; a key takes about 150 bytes.
	// Zero or less means DefaultMaxKeys.
	MaxKeys int

	// MaxPerSecond is the most requests that all small caches together may see in a second, on
	// average over ten seconds. Each takes about half a microsecond. Where there are more, the
	// rates fall, and they rise again when there are a quarter. Zero or less means
	// DefaultMaxPerSecond.
	MaxPerSecond int
}

// Totals are numbers of requests, and of the bytes of their bodies.
type Totals struct{ Requests, Bytes, Missed, MissedBytes uint64 }

// partsOfKeys is which part of MaxKeys are entries that are sampled at a higher rate, because they
// are large.
const partsOfKeys = 0.3

// Outcome is how the cache answered a request.
type Outcome uint8

// The outcomes.
const (
	// Hit: what is stored answered it, fresh or stale.
	Hit Outcome = iota
	// Revalidated: what is stored answered it after the origin confirmed it.
	Revalidated
	// Missed: there was nothing stored. The response of the origin was stored.
	Missed
	// Replaced: what is stored could not be used. Another response was stored in its place.
	Replaced
)

// Request is a request that the cache answered, and what is stored for it.
type Request struct {
	Outcome    Outcome
	Weight     int64     // of the entry, as the eviction manager was told
	Bytes      int64     // of the body
	FreshUntil time.Time // of the entry; zero: unknown
}

// Estimator estimates the miss-ratio curve of a cache. It is safe for concurrent use. Use New.
type Estimator struct {
	threshold atomic.Uint64 // keys with a hash below it are in the sample of at least one size
	slope     atomic.Uint64 // a float64: so are those with a hash below slope times the weight
	config    Config
	seed      [2]uint64

	mu     sync.Mutex
	sizes  [len(ratios)]*size
	window window
	from   counts // where the counts begin, in totals

	halved time.Time // when the counts were last halved
}

// New returns an Estimator that has observed nothing. An error says that the policy is not known,
// or that the limit is too small.
func New(c Config) (*Estimator, error) {
	if c.MaxKeys <= 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	if c.MaxPerSecond <= 0 {
		c.MaxPerSecond = DefaultMaxPerSecond
	}
	now := time.Now()
	e := &Estimator{config: c, seed: [2]uint64{rand.Uint64(), rand.Uint64() | 1}, halved: now, window: newWindow(now)}
	for i, ratio := range ratios {
		s, err := newSize(c.Policy, max(int64(ratio*float64(c.Limit)), 1), partsOfKeys*float64(c.MaxKeys))
		if err != nil {
			return nil, err
		}
		e.sizes[i] = s
	}
	e.publish()
	e.from = e.totals()
	return e, nil
}

// Hash returns the hash of key for Observe. It differs between processes, so that nobody can choose
// URLs that are in the sample.
func (e *Estimator) Hash(key *cirque.CompactCacheKey) uint64 {
	a := binary.LittleEndian.Uint64(key.Primary[:8]) ^ binary.LittleEndian.Uint64(key.Variance[:8])
	hi, lo := bits.Mul64(a^e.seed[0], e.seed[1])
	return hi ^ lo
}

// Observe takes note of a request for the key with that hash. For a key that is in no sample it
// costs one comparison.
func (e *Estimator) Observe(hash uint64, r Request) {
	if hash < e.threshold.Load() || float64(hash) < float64(r.Weight)*math.Float64frombits(e.slope.Load()) {
		e.observe(hash, &r)
	}
}

func (e *Estimator) observe(hash uint64, r *Request) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := 0
	for _, s := range e.sizes {
		if samples(hash, s.rateOf(float64(r.Weight))) {
			s.request(hash, r, now)
			seen++
		}
	}
	e.adapt(seen, now)
}

// adapt changes the rates so that no small cache holds too many keys, and that all together do not
// see too many requests.
func (e *Estimator) adapt(seen int, now time.Time) {
	by := e.window.add(seen, now, float64(e.config.MaxPerSecond))
	changed := by != 1
	for _, s := range e.sizes {
		if by != 1 {
			s.rescale(min(s.rate*by, 1), s.parts*by)
		}
		if len(s.resident) > e.config.MaxKeys {
			s.rescale(s.rate*0.8, s.parts)
			changed = true
		}
	}
	if changed {
		e.publish()
	}
	if now.Sub(e.halved) > halfLife {
		e.halve(now)
	}
}

// publish sets what Observe compares with.
func (e *Estimator) publish() {
	rate, slope := 0.0, 0.0
	for _, s := range e.sizes {
		rate = max(rate, s.rate)
		slope = max(slope, s.parts/float64(s.limit))
	}
	e.threshold.Store(uint64(min(rate*(1<<64), math.MaxUint64-1<<11)))
	e.slope.Store(math.Float64bits(slope * (1 << 64)))
}

// Curve returns the estimates, from the smallest size to the largest; nil while there is none. They
// are of all requests so far, where those of the last hours count most: every hour, what was
// counted before is halved.
func (e *Estimator) Curve() []stats.CurvePoint {
	e.mu.Lock()
	defer e.mu.Unlock()
	whole := e.totals().minus(e.from)
	curve := make([]stats.CurvePoint, len(ratios))
	for i, s := range e.sizes {
		all, missed := s.sample.all, s.missed
		if e.config.Totals != nil {
			all = whole.all
			// By as much as the sample has other misses than the whole in the cache, it has in the
			// small cache.
			missed = missed.plus(whole.missed.minus(s.sample.missed))
		}
		if s.sample.all.requests == 0 || all.requests <= 0 {
			return nil
		}
		curve[i] = stats.CurvePoint{
			Size:         s.limit,
			HitRatio:     hitRatio(all.requests, missed.requests),
			ByteHitRatio: hitRatio(all.bytes, missed.bytes),
		}
	}
	return curve
}

func hitRatio(all, missed float64) float64 {
	if all <= 0 {
		return 0
	}
	return min(max(1-missed/all, 0), 1)
}

// halfLife is how often the counts are halved.
const halfLife = time.Hour

func (e *Estimator) halve(now time.Time) {
	e.halved = now
	whole := e.totals()
	e.from = whole.minus(whole.minus(e.from).half())
	for _, s := range e.sizes {
		s.sample, s.missed = s.sample.half(), s.missed.half()
	}
}

func (e *Estimator) totals() (c counts) {
	if e.config.Totals != nil {
		t := e.config.Totals()
		c.all = amount{float64(t.Requests), float64(t.Bytes)}
		c.missed = amount{float64(t.Missed), float64(t.MissedBytes)}
	}
	return c
}
