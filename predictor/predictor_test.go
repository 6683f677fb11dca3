package predictor

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/stretchr/testify/require"
)

func testKey(n int) cirque.CacheKey { return cirque.NewCacheKey("", fmt.Sprint(n), "") }

func TestPredictsWhatWasMarked(t *testing.T) {
	p := New(Config{})
	key, other := testKey(1), testKey(2)
	require.True(t, p.CacheablePrediction(key), "an unknown key counts as uncacheable")

	require.True(t, p.MarkUncacheable(key, cirque.OriginNotCache))
	require.False(t, p.MarkUncacheable(key, cirque.ResponseTooLarge), "it is reported as a change")
	require.False(t, p.CacheablePrediction(key))
	require.True(t, p.CacheablePrediction(other))

	require.True(t, p.MarkCacheable(key))
	require.False(t, p.MarkCacheable(key), "it is reported as a change")
	require.False(t, p.MarkCacheable(other), "it is reported as a change")
	require.True(t, p.CacheablePrediction(key))
	require.True(t, p.MarkUncacheable(key, cirque.OriginNotCache))
}

func TestOnlyLastingReasonsCount(t *testing.T) {
	for reason, counts := range map[cirque.NoCacheReason]bool{
		"":                               false,
		cirque.NeverEnabled:              false,
		cirque.OriginNotCache:            true,
		cirque.ResponseTooLarge:          true,
		cirque.PredictedResponseTooLarge: false,
		cirque.StorageError:              false,
		cirque.InternalError:             false,
		cirque.Deferred:                  false,
		cirque.DeclinedToUpstream:        false,
		cirque.UpstreamError:             false,
		cirque.CacheLockGiveUp:           false,
		cirque.CacheLockTimeout:          false,
		cirque.Custom("logged in"):       true,
		cirque.Custom(""):                true,
	} {
		p := New(Config{})
		require.Equal(t, counts, p.MarkUncacheable(testKey(1), reason), "reason %q", reason)
		require.Equal(t, !counts, p.CacheablePrediction(testKey(1)), "reason %q", reason)
	}
}

func TestSkippedCustomReasons(t *testing.T) {
	passing := cirque.Custom("passing")
	p := New(Config{SkipCustom: func(reason cirque.NoCacheReason) bool {
		require.True(t, reason.IsCustom(), "SkipCustom is called with %s", reason)
		return reason == passing
	}})
	require.False(t, p.MarkUncacheable(testKey(1), passing))
	require.True(t, p.CacheablePrediction(testKey(1)))
	require.True(t, p.MarkUncacheable(testKey(1), cirque.Custom("lasting")))
	require.True(t, p.MarkUncacheable(testKey(2), cirque.OriginNotCache))
	require.False(t, p.MarkUncacheable(testKey(3), cirque.UpstreamError))
}

func TestVariantsShareAPrediction(t *testing.T) {
	p := New(Config{})
	variant := testKey(1).WithVariance(cirque.HashBinary{1})
	require.True(t, p.MarkUncacheable(variant, cirque.OriginNotCache))
	require.False(t, p.CacheablePrediction(testKey(1)))
	require.False(t, p.CacheablePrediction(testKey(1).WithVariance(cirque.HashBinary{2})))
	require.True(t, p.CacheablePrediction(testKey(1).WithPrimaryHash(cirque.HashBinary{3})))
}

func TestForgetsAfterRemember(t *testing.T) {
	for name, c := range map[string]struct {
		configured, want time.Duration
	}{
		"default":  {0, 2 * time.Minute},
		"negative": {-time.Second, 2 * time.Minute},
		"given":    {time.Second, time.Second},
		"least":    {1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := New(Config{Remember: c.configured})
				p.MarkUncacheable(testKey(1), cirque.OriginNotCache)
				time.Sleep(c.want - 1)
				require.False(t, p.CacheablePrediction(testKey(1)))
				time.Sleep(time.Nanosecond)
				require.True(t, p.CacheablePrediction(testKey(1)))
				require.False(t, p.MarkCacheable(testKey(1)), "forgetting a key that was forgotten is reported as a change")
				require.True(t, p.MarkUncacheable(testKey(1), cirque.OriginNotCache), "marking a key that was forgotten is not reported as a change")
			})
		})
	}
}

func TestRemembersForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Remember: math.MaxInt64})
		time.Sleep(time.Hour)
		p.MarkUncacheable(testKey(1), cirque.OriginNotCache)
		time.Sleep(100 * 365 * 24 * time.Hour)
		require.False(t, p.CacheablePrediction(testKey(1)))
	})
}

func TestEachUncacheableResponseRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Config{Remember: time.Minute})
		require.True(t, p.MarkUncacheable(testKey(1), cirque.OriginNotCache))
		for range 5 {
			time.Sleep(40 * time.Second)
			require.False(t, p.CacheablePrediction(testKey(1)))
			require.False(t, p.MarkUncacheable(testKey(1), cirque.OriginNotCache))
		}
		time.Sleep(time.Minute)
		require.True(t, p.CacheablePrediction(testKey(1)))
	})
}

func TestTableSize(t *testing.T) {
	for configured, want := range map[int]int{
		-1: 65536, 0: 65536, 1: 8, 8: 8, 9: 16, 100: 128, 65536: 65536, 65537: 131072, math.MaxInt: 1 << 24,
	} {
		require.Equal(t, want, ways*New(Config{MaxKeys: configured}).size, "MaxKeys %d", configured)
	}
}

// TestTableIsAllocatedLate checks that a cache with only cacheable responses allocates no table.
func TestTableIsAllocatedLate(t *testing.T) {
	p := New(Config{MaxKeys: 1000})
	require.True(t, p.CacheablePrediction(testKey(1)))
	require.False(t, p.MarkCacheable(testKey(1)))
	require.False(t, p.MarkUncacheable(testKey(1), cirque.StorageError))
	require.Nil(t, p.table.Load())
	require.True(t, p.MarkUncacheable(testKey(1), cirque.OriginNotCache))
	require.Len(t, *p.table.Load(), 1024/ways)
}

func TestFullTableKeepsMaxKeys(t *testing.T) {
	p := New(Config{MaxKeys: 1024})
	for n := range 20_000 {
		require.True(t, p.MarkUncacheable(testKey(n), cirque.OriginNotCache))
		require.False(t, p.CacheablePrediction(testKey(n)))
	}
	remembered := 0
	for n := range 20_000 {
		if !p.CacheablePrediction(testKey(n)) {
			remembered++
		}
	}
	require.Equal(t, 1024, remembered)
}

func TestHalfFullTableForgetsLittle(t *testing.T) {
	const keys = 1 << 14
	p := New(Config{MaxKeys: 2 * keys})
	for n := range keys {
		p.MarkUncacheable(testKey(n), cirque.OriginNotCache)
	}
	forgotten := 0
	for n := range keys {
		if p.CacheablePrediction(testKey(n)) {
			forgotten++
		}
	}
	require.Less(t, forgotten, keys/50)
}

// FuzzPredictor compares a table of one bucket with a list, newest mark last.
func FuzzPredictor(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 200, 32, 33})
	f.Add([]byte{0, 255, 0, 255, 255, 16, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			const remember = time.Second
			type mark struct {
				key int
				at  time.Time
			}
			p := New(Config{MaxKeys: ways, Remember: remember})
			var model []mark
			lookup := func(key int) (i int, remembered bool) {
				i = slices.IndexFunc(model, func(m mark) bool { return m.key == key })
				return i, i >= 0 && time.Since(model[i].at) < remember
			}
			for _, op := range ops {
				key := int(op % 12)
				i, remembered := lookup(key)
				switch op / 12 {
				case 0, 1, 2, 3, 4, 5, 6, 7, 8, 9:
					require.Equal(t, !remembered, p.MarkUncacheable(testKey(key), cirque.OriginNotCache))
					if i >= 0 {
						model = slices.Delete(model, i, i+1)
					}
					model = append(model, mark{key, time.Now()})
					if len(model) > ways {
						model = model[1:]
					}
				case 10, 11, 12:
					require.Equal(t, remembered, p.MarkCacheable(testKey(key)))
					if i >= 0 {
						model = slices.Delete(model, i, i+1)
					}
				case 13, 14, 15:
					p.MarkUncacheable(testKey(key), cirque.StorageError)
				default:
					time.Sleep(time.Duration(op%16) * remember / 20)
				}
				for key := range 12 {
					_, remembered := lookup(key)
					require.Equal(t, !remembered, p.CacheablePrediction(testKey(key)), "key %d", key)
				}
				time.Sleep(time.Nanosecond) // so that no two marks have the same time
			}
		})
	})
}

func TestConcurrentUse(t *testing.T) {
	p := New(Config{MaxKeys: 64})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for n := range 5000 {
				key := testKey((n*7 + g) % 200)
				switch n % 3 {
				case 0:
					p.MarkUncacheable(key, cirque.OriginNotCache)
				case 1:
					p.CacheablePrediction(key)
				case 2:
					p.MarkCacheable(key)
				}
			}
		})
	}
	wg.Wait()
	// No bucket may hold a key twice: one MarkCacheable must be enough to forget it.
	for n := range 200 {
		p.MarkCacheable(testKey(n))
		require.True(t, p.CacheablePrediction(testKey(n)))
	}
}

func TestNothingAllocates(t *testing.T) {
	p := New(Config{})
	marked, free := testKey(1), testKey(2)
	require.Zero(t, testing.AllocsPerRun(100, func() {
		p.MarkUncacheable(marked, cirque.OriginNotCache)
		p.CacheablePrediction(marked)
		p.CacheablePrediction(free)
		p.MarkCacheable(marked)
		p.MarkCacheable(free)
	}))
}

func BenchmarkPredictor(b *testing.B) {
	p := New(Config{})
	marked, free := testKey(1), testKey(2)
	for n := range 1 << 15 {
		p.MarkUncacheable(testKey(n+10), cirque.OriginNotCache)
	}
	p.MarkUncacheable(marked, cirque.OriginNotCache)
	for _, c := range []struct {
		name string
		op   func()
	}{
		{"predict=unknown", func() { p.CacheablePrediction(free) }},
		{"predict=uncacheable", func() { p.CacheablePrediction(marked) }},
		{"mark=cacheable", func() { p.MarkCacheable(free) }},
		{"mark=uncacheable", func() { p.MarkUncacheable(marked, cirque.OriginNotCache) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.op()
				}
			})
		})
	}
}

func TestPredictorRemembersWhyAndSince(t *testing.T) {
	p := New(Config{})
	_, _, ok := p.Marked(testKey(1))
	require.False(t, ok)
	before := time.Now()
	p.MarkUncacheable(testKey(1), cirque.OriginNotCache)
	p.MarkUncacheable(testKey(2), cirque.ResponseTooLarge)
	reason, at, ok := p.Marked(testKey(1))
	require.True(t, ok)
	require.Equal(t, cirque.OriginNotCache, reason)
	require.WithinDuration(t, before, at, time.Minute)
	p.MarkUncacheable(testKey(1), cirque.ResponseTooLarge)
	reason, _, _ = p.Marked(testKey(1))
	require.Equal(t, cirque.ResponseTooLarge, reason, "the latest reason counts")
	p.MarkCacheable(testKey(1))
	_, _, ok = p.Marked(testKey(1))
	require.False(t, ok)
	for n := range 300 { // custom reasons have no bound
		p.MarkUncacheable(testKey(n), cirque.Custom(fmt.Sprint("reason", n)))
	}
	reason, _, ok = p.Marked(testKey(299))
	require.True(t, ok)
	require.Empty(t, reason)
}
