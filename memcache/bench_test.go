package memcache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/cirquecache/cirque"
)

// serve looks up, reads and closes a hit as the middleware does.
func serve(b *testing.B, c *MemCache, key cirque.CacheKey) {
	_, h, err := c.Lookup(context.Background(), key)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := h.(io.WriterTo).WriteTo(io.Discard); err != nil {
		b.Fatal(err)
	}
	h.Close()
}

func BenchmarkHit(b *testing.B) {
	const keys = 1024
	c := New(Config{Budget: cirque.NewBudget(1 << 30)})
	all := make([]cirque.CacheKey, keys)
	for i := range all {
		all[i] = keyOf(i)
		put(b, c, all[i], newMeta(), make([]byte, 1024))
	}
	b.Run("Serial", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			serve(b, c, all[i%keys])
		}
	})
	b.Run("Parallel", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				serve(b, c, all[i%keys])
			}
		})
	})
	b.Run("ParallelOneKey", func(b *testing.B) {
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				serve(b, c, all[0])
			}
		})
	})
}

// BenchmarkWrite replaces an entry by a body of known or of unknown length, which comes in pieces
// of 32 KiB.
func BenchmarkWrite(b *testing.B) {
	for _, size := range []int{1 << 10, 32 << 10, 1 << 20} {
		for name, hint := range map[string]int64{"Known": int64(size), "Unknown": -1} {
			b.Run(fmt.Sprintf("%d/%s", size, name), func(b *testing.B) {
				c := New(Config{Budget: cirque.NewBudget(1 << 30)})
				key, meta, piece := keyOf(1), newMeta(), make([]byte, min(size, 32<<10))
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					w, err := c.MissHandler(context.Background(), key, meta, cirque.MissOptions{SizeHint: hint})
					if err != nil {
						b.Fatal(err)
					}
					for range size / len(piece) {
						if _, err := w.Write(piece); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := w.Finish(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkChurn purges a random entry and stores another, so that pages become sparse and blocks
// move.
func BenchmarkChurn(b *testing.B) {
	const resident = 100_000
	c := New(Config{})
	meta, body := newMeta(), make([]byte, 1<<10)
	keys := make([]cirque.CacheKey, 2*resident)
	for i := range keys {
		keys[i] = keyOf(i)
	}
	in, out := keys[:resident], keys[resident:]
	for _, key := range in {
		put(b, c, key, meta, body)
	}
	random := rand.New(rand.NewPCG(1, 2))
	b.ReportAllocs()
	for b.Loop() {
		i, j := random.IntN(resident), random.IntN(resident)
		if err := c.Purge(context.Background(), in[i].Compact(), cirque.PurgeEviction); err != nil {
			b.Fatal(err)
		}
		put(b, c, out[j], meta, body)
		in[i], out[j] = out[j], in[i]
	}
}

// BenchmarkEntries measures what stored entries cost in memory, and in CPU time for each garbage
// collection. Run it with -benchtime=1x.
//
// overhead-B/entry is by how much the memory has grown beyond body, packed header and key text.
// charged-B/entry is what the budget counted beyond them. gc-ms is the CPU time of a collection
// beyond that of an empty heap.
func BenchmarkEntries(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		for _, size := range []int{0, 1 << 10} {
			b.Run(fmt.Sprintf("%d/%d", n, size), func(b *testing.B) {
				meta, body := newMeta(), bytes.Repeat([]byte("x"), size)
				headerSize := meta.MetaSize() - new(cirque.CacheMeta).MetaSize()
				for b.Loop() {
					emptyGC, emptyHeap := collect()
					budget := cirque.NewBudget(1 << 40)
					c := New(Config{Budget: budget})
					payload := 0
					for i := range n {
						key := keyOf(i)
						put(b, c, key, meta, body)
						payload += len(body) + headerSize + len(key.Primary())
					}
					gc, heap := collect()
					memory := heap - emptyHeap + float64(statsOf(c).OffHeap.Used)
					b.ReportMetric((memory-float64(payload))/float64(n), "overhead-B/entry")
					b.ReportMetric(float64(budget.Used()-int64(payload))/float64(n), "charged-B/entry")
					b.ReportMetric(1000*(gc-emptyGC), "gc-ms")
					runtime.KeepAlive(c)
				}
			})
		}
	}
}

// collect runs full collections. It returns the CPU seconds of the cheapest and the bytes of heap
// that are left.
func collect() (cpu, heap float64) {
	samples := []metrics.Sample{
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	runtime.GC()
	metrics.Read(samples)
	before := samples[0].Value.Float64()
	for range 5 {
		runtime.GC()
		metrics.Read(samples)
		after := samples[0].Value.Float64()
		if spent := after - before; cpu == 0 || spent < cpu {
			cpu = spent
		}
		before = after
	}
	return cpu, float64(samples[1].Value.Uint64())
}
