// Package eviction measures the eviction managers against other caches.
package eviction

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

const entries = 1_000_000

// sequence holds the requests of a benchmark: key numbers in a Zipf distribution of exponent 1 over
// all entries, scattered so that popular keys are not neighbours.
var sequence = sync.OnceValue(func() []uint32 {
	rnd := rand.New(rand.NewPCG(1, 1))
	sums := make([]float64, entries)
	var sum float64
	for i := range sums {
		sum += 1 / float64(i+1)
		sums[i] = sum
	}
	scatter := rnd.Perm(entries)
	seq := make([]uint32, 1<<22)
	for i := range seq {
		seq[i] = uint32(scatter[sort.SearchFloat64s(sums, rnd.Float64()*sum)])
	}
	return seq
})

var keys = sync.OnceValue(func() []cirque.CompactCacheKey {
	keys := make([]cirque.CompactCacheKey, entries)
	for i := range keys {
		keys[i] = cirque.NewCacheKey("", "https://example.com/"+strconv.Itoa(i), "").Compact()
	}
	return keys
})

// contestant is a cache that holds all keys.
type contestant struct {
	name string
	// access looks up the keys with these numbers.
	access func(numbers []uint32)
	cpu    []float64 // nanoseconds per access, for each round
}

func contestants(b *testing.B) []*contestant {
	keys := keys()
	freshUntil := time.Now().Add(time.Hour)
	var cs []*contestant
	for _, name := range []string{eviction.Default, "lru"} {
		m, err := eviction.New(name, math.MaxInt64)
		if err != nil {
			b.Fatal(err)
		}
		for _, key := range keys {
			m.Admit(key, 1000, freshUntil, 0)
		}
		cs = append(cs, &contestant{name: name, access: func(numbers []uint32) {
			for _, n := range numbers {
				m.Access(keys[n], 1000, freshUntil)
			}
		}})
	}
	short := otter.Must(&otter.Options[uint64, uint32]{MaximumSize: 2 * entries})
	for i, key := range keys {
		short.Set(binary.LittleEndian.Uint64(key.Primary[:]), uint32(i))
	}
	short.CleanUp()
	cs = append(cs, &contestant{name: "otter-uint64", access: func(numbers []uint32) {
		for _, n := range numbers {
			short.GetIfPresent(binary.LittleEndian.Uint64(keys[n].Primary[:]))
		}
	}})
	c := otter.Must(&otter.Options[cirque.CompactCacheKey, uint32]{MaximumSize: 2 * entries})
	for i, key := range keys {
		c.Set(key, uint32(i))
	}
	c.CleanUp()
	return append(cs, &contestant{name: peer, access: func(numbers []uint32) {
		for _, n := range numbers {
			c.GetIfPresent(keys[n])
		}
	}})
}

const peer = "otter"

// BenchmarkParallelAccess compares the cost of a hit, with two goroutines at once and a million
// entries. All contestants take turns in short rounds, so that other load on the machine affects
// all alike. It reports processor time: the median of the rounds, and its ratio to otter's Get with
// the same keys.
func BenchmarkParallelAccess(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	cs := contestants(b)
	seq := sequence()
	const round = 1 << 17
	at := 0
	for b.Loop() {
		for _, c := range cs {
			before := cpuTime()
			var wg sync.WaitGroup
			for g := range 2 {
				from := (at + g*len(seq)/2) % len(seq)
				wg.Go(func() { c.access(seq[from : from+round]) })
			}
			wg.Wait()
			c.cpu = append(c.cpu, float64(cpuTime()-before)/(2*round))
		}
		at = (at + round) % len(seq)
	}
	reference := median(cs[len(cs)-1].cpu)
	for _, c := range cs {
		b.ReportMetric(median(c.cpu), c.name+"-ns")
		b.ReportMetric(median(c.cpu)/reference, c.name+"/"+peer)
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// cpuTime returns the time this process has spent on processors.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
