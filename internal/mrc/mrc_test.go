package mrc

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// request is a request of a made-up trace.
type request struct {
	key    cirque.CompactCacheKey
	weight int64
}

// zipf returns requests for keys in a Zipf distribution, with sizes that do not depend on it.
func zipf(n, keys int, size func(*rand.Rand) int64) []request {
	rnd := rand.New(rand.NewPCG(1, 2))
	all := make([]request, keys)
	for i := range all {
		all[i] = request{cirque.NewCacheKey("", fmt.Sprint(i), "").Compact(), size(rnd)}
	}
	z := rand.NewZipf(rnd, 1.05, 20, uint64(keys-1))
	trace := make([]request, n)
	for i := range trace {
		trace[i] = all[z.Uint64()]
	}
	return trace
}

func unit(*rand.Rand) int64 { return 1 }

func logNormal(rnd *rand.Rand) int64 { return int64(max(math.Exp(9+1.5*rnd.NormFloat64()), 1)) }

// cache is a cache without bodies, which counts.
type cache struct {
	manager  cirque.EvictionManager
	resident map[cirque.CompactCacheKey]bool
	Totals
}

func newCache(t testing.TB, policy string, limit int64) *cache {
	m, err := eviction.New(policy, limit)
	require.NoError(t, err)
	return &cache{manager: m, resident: map[cirque.CompactCacheKey]bool{}}
}

func (c *cache) request(r request) Outcome {
	c.Requests++
	c.Bytes += uint64(r.weight)
	if c.resident[r.key] {
		c.manager.Access(r.key, r.weight, time.Time{})
		return Hit
	}
	c.Missed++
	c.MissedBytes += uint64(r.weight)
	c.resident[r.key] = true
	for _, key := range c.manager.Admit(r.key, r.weight, time.Time{}, 0) {
		delete(c.resident, key)
	}
	return Missed
}

func (c *cache) hitRatios() (requests, bytes float64) {
	return 1 - float64(c.Missed)/float64(c.Requests), 1 - float64(c.MissedBytes)/float64(c.Bytes)
}

// observe returns an Estimator that has observed the trace.
func observe(t testing.TB, trace []request, config Config) *Estimator {
	c := newCache(t, config.Policy, config.Limit)
	if config.Totals == nil {
		config.Totals = func() Totals { return c.Totals }
	}
	e, err := New(config)
	require.NoError(t, err)
	e.seed = [2]uint64{0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9} // the same sample each time
	for _, r := range trace {
		e.Observe(e.Hash(&r.key), Request{Outcome: c.request(r), Weight: r.weight, Bytes: r.weight})
	}
	return e
}

// worst returns the largest and the mean difference of the curve to caches of its sizes.
func worst(t testing.TB, e *Estimator, trace []request, policy string) (most, mean float64) {
	curve := e.Curve()
	require.Len(t, curve, 7)
	for i, p := range curve {
		require.Equal(t, int64(ratios[i]*float64(e.config.Limit)), p.Size)
		c := newCache(t, policy, p.Size)
		for _, r := range trace {
			c.request(r)
		}
		requests, bytes := c.hitRatios()
		for _, d := range []float64{math.Abs(p.HitRatio - requests), math.Abs(p.ByteHitRatio - bytes)} {
			most = max(most, d)
			mean += d / float64(2*len(curve))
		}
	}
	return most, mean
}

// Where all keys are in the sample, the small caches are caches of the sizes of the curve.
func TestCurveOfASmallCacheIsThatOfItsPolicy(t *testing.T) {
	trace := zipf(10_000, 350, logNormal)
	for _, policy := range []string{"fifo", "gdsf", "s3-fifo", "sieve", "simple-lru"} {
		e := observe(t, trace, Config{Policy: policy, Limit: 1 << 20, MaxPerSecond: math.MaxInt})
		most, _ := worst(t, e, trace, policy)
		require.Less(t, most, 0.008, policy) // GDSF may take one key for another
	}
}

func TestCurveFromASampleIsNear(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, and many requests")
	}
	for name, size := range map[string]func(*rand.Rand) int64{"unit": unit, "logNormal": logNormal} {
		trace := zipf(100_000, 25_000, size)
		var all int64
		for _, r := range trace[:10_000] {
			all += r.weight
		}
		for _, policy := range []string{"gdsf", "lru", "s3-fifo"} {
			e := observe(t, trace, Config{Policy: policy, Limit: all / 4, MaxPerSecond: math.MaxInt})
			most, mean := worst(t, e, trace, policy)
			t.Logf("%s %s: mean %.4f, at most %.4f", name, policy, mean, most)
			require.Less(t, mean, 0.02)
			require.Less(t, most, 0.06)
			for _, s := range e.sizes {
				require.LessOrEqual(t, len(s.resident), DefaultMaxKeys)
				require.Equal(t, s.manager.TotalItems(), len(s.resident), "manager and map have the same keys")
			}
			require.Less(t, e.sizes[6].rate, 0.2)
		}
	}
}

func TestCurveWithoutTotals(t *testing.T) {
	trace := zipf(50_000, 20_000, unit)
	c := newCache(t, "gdsf", 2000)
	e, err := New(Config{Limit: 2000, MaxPerSecond: math.MaxInt})
	require.NoError(t, err)
	require.Nil(t, e.Curve(), "nothing was observed")
	for _, r := range trace {
		e.Observe(e.Hash(&r.key), Request{Outcome: c.request(r), Weight: 1, Bytes: 1})
	}
	_, mean := worst(t, e, trace, "gdsf")
	require.Less(t, mean, 0.1)
}

func TestAMillionKeysTakeAMegabyte(t *testing.T) {
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	e, err := New(Config{Limit: 1 << 30, MaxPerSecond: math.MaxInt})
	require.NoError(t, err)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 2_000_000 {
		key := cirque.CompactCacheKey{}
		key.Primary[0], key.Primary[1], key.Primary[2] = byte(rnd.Uint32()), byte(rnd.Uint32()), byte(rnd.Uint32N(16))
		e.Observe(e.Hash(&key), Request{Outcome: Missed, Weight: 5000, Bytes: 4000})
	}
	grown := heap() - before
	t.Logf("%d bytes", grown)
	if !raceEnabled {
		require.Less(t, grown, int64(1_000_000))
	}
	runtime.KeepAlive(e)
}

func TestFreshnessCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var requests, misses uint64
		e, err := New(Config{Policy: "lru", Limit: 1000})
		require.NoError(t, err)
		key := cirque.NewCacheKey("", "a", "").Compact()
		see := func(o Outcome, lifetime time.Duration, missed uint64) {
			t.Helper()
			requests++
			misses += missed
			e.Observe(e.Hash(&key), Request{Outcome: o, Weight: 10, Bytes: 10, FreshUntil: time.Now().Add(lifetime)})
			for _, p := range e.Curve() {
				require.InDelta(t, 1-float64(misses)/float64(requests), p.HitRatio, 1e-9)
				require.InDelta(t, p.HitRatio, p.ByteHitRatio, 1e-9)
			}
		}
		see(Missed, time.Minute, 1)
		see(Hit, time.Minute, 0)
		see(Missed, time.Minute, 0) // the cache has evicted it, the small ones have not
		time.Sleep(2 * time.Minute)
		see(Missed, time.Minute, 1) // it is no longer fresh there either
		time.Sleep(2 * time.Minute)
		see(Hit, -time.Minute, 0)        // stale, and served so
		see(Revalidated, time.Minute, 0) // and fresh again
		see(Missed, time.Hour, 0)
		time.Sleep(2 * time.Minute)
		see(Hit, time.Hour, 1) // the cache has fetched it since
		see(Replaced, time.Hour, 1)
		see(Hit, time.Hour, 0)
	})
}

func TestCacheThatIsNotEmptyAtFirst(t *testing.T) {
	trace := zipf(20_000, 500, unit)
	e, err := New(Config{Limit: 1000, MaxPerSecond: math.MaxInt})
	require.NoError(t, err)
	for _, r := range trace {
		e.Observe(e.Hash(&r.key), Request{Outcome: Hit, Weight: 1, Bytes: 1})
	}
	curve := e.Curve()
	require.Equal(t, 1.0, curve[3].HitRatio)
	require.Equal(t, 1.0, curve[6].HitRatio)
	require.Less(t, curve[0].HitRatio, 0.95, "it is too small for all of them")
}

func TestRatesFollowTheNumberOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trace := zipf(10_000, 300, unit)
		e, err := New(Config{Limit: 100, MaxPerSecond: 1000})
		require.NoError(t, err)
		minute := func(perSecond int) (seen float64) {
			for i := range 60 * perSecond {
				r := trace[i%len(trace)]
				if i%perSecond == 0 {
					time.Sleep(time.Second)
				}
				hash := e.Hash(&r.key)
				for _, s := range e.sizes {
					if samples(hash, s.rateOf(1)) {
						seen++
					}
				}
				e.Observe(hash, Request{Outcome: Hit, Weight: 1, Bytes: 1})
			}
			return seen / 60
		}
		require.InDelta(t, 700, minute(100), 1)
		minute(5000)
		require.Less(t, minute(5000), 1500.)
		require.Less(t, e.sizes[0].rate, 0.5)
		low := e.sizes[0].rate
		minute(10)
		minute(10)
		require.Greater(t, e.sizes[0].rate, low)
		require.InDelta(t, 1, e.sizes[0].rate, 1e-9)
		require.Equal(t, 1.0, e.window.lowered)
		for _, s := range e.sizes {
			require.InDelta(t, partsOfKeys*DefaultMaxKeys, s.parts, 3)
			require.Equal(t, s.manager.TotalItems(), len(s.resident))
			require.LessOrEqual(t, s.manager.TotalWeight(), s.limit)
		}
		require.NotNil(t, e.Curve())
	})
}

// The requests of yesterday do not hide those of today.
func TestOldRequestsCountLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var total Totals
		e, err := New(Config{Policy: "fifo", Limit: 1000, Totals: func() Totals { return total }})
		require.NoError(t, err)
		n := 0
		see := func(o Outcome) {
			if o == Missed {
				n++
				total.Missed++
				total.MissedBytes += 10
			}
			total.Requests++
			total.Bytes += 10
			key := cirque.NewCacheKey("", fmt.Sprint(n), "").Compact()
			e.Observe(e.Hash(&key), Request{Outcome: o, Weight: 10, Bytes: 10})
		}
		for range 1000 {
			see(Missed)
		}
		require.Zero(t, e.Curve()[3].HitRatio)
		for range 8 * 60 {
			time.Sleep(time.Minute)
			see(Hit)
		}
		require.Greater(t, e.Curve()[3].HitRatio, 0.9)
	})
}

func TestConcurrentRequests(t *testing.T) {
	var requests, missed atomic.Uint64
	e, err := New(Config{Limit: 1 << 20, MaxPerSecond: math.MaxInt, MaxKeys: 100, Totals: func() Totals {
		r, m := requests.Load(), missed.Load()
		return Totals{Requests: r, Bytes: 1000 * r, Missed: m, MissedBytes: 1000 * m}
	}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(5, uint64(g)))
			for i := range 5000 {
				requests.Add(1)
				missed.Add(1)
				key := cirque.CompactCacheKey{}
				key.Primary[0], key.Primary[1] = byte(rnd.Uint32()), byte(rnd.Uint32N(16))
				e.Observe(e.Hash(&key), Request{Outcome: Missed, Weight: 1000, Bytes: 1000})
				if i%500 == 0 {
					for _, p := range e.Curve() {
						if p.HitRatio < 0 || p.HitRatio > 1 || p.ByteHitRatio < 0 || p.ByteHitRatio > 1 {
							t.Errorf("no ratio: %+v", p)
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestUnknownPolicy(t *testing.T) {
	_, err := New(Config{Policy: "none", Limit: 1})
	require.Error(t, err)
}

// BenchmarkObserve observes a trace with a full cache of many keys. Unsampled is the cost of a key
// that is in no sample.
func BenchmarkObserve(b *testing.B) {
	trace := zipf(1<<20, 400_000, logNormal)
	e := observe(b, trace, Config{Limit: 2 << 30})
	b.Run("Unsampled", func(b *testing.B) {
		r := Request{Outcome: Hit, Weight: 1000, Bytes: 1000}
		for b.Loop() {
			e.Observe(math.MaxUint64, r)
		}
	})
	b.Run("Hash", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e.Hash(&trace[i%len(trace)].key)
		}
	})
	b.Run("Trace", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			r := &trace[i%len(trace)]
			e.Observe(e.Hash(&r.key), Request{Outcome: Hit, Weight: r.weight, Bytes: r.weight})
		}
	})
	b.Run("AllSampled", func(b *testing.B) {
		e, err := New(Config{Limit: 1 << 20, MaxPerSecond: math.MaxInt})
		require.NoError(b, err)
		for i := 0; b.Loop(); i++ {
			r := &trace[i%len(trace)]
			e.Observe(e.Hash(&r.key), Request{Outcome: Hit, Weight: 10_000, Bytes: r.weight})
		}
	})
}
