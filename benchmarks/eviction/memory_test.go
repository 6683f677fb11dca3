package eviction

import (
	"encoding/binary"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
)

// BenchmarkMemory measures a manager of a million entries after four million keys have gone through
// it, so that ghosts are full and nodes have been reused. It reports the bytes of heap per resident
// entry, everything counted, and how much more a garbage collection costs than before.
func BenchmarkMemory(b *testing.B) {
	for _, name := range eviction.Names() {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				heapBefore, gcBefore := collect()
				m, err := eviction.New(name, entries*1000)
				if err != nil {
					b.Fatal(err)
				}
				for n := range uint64(4 * entries) {
					m.Admit(numbered(n), 1000, time.Time{}, 0)
					if n%3 == 0 {
						m.Access(numbered(n), 1000, time.Time{})
					}
				}
				heapAfter, gcAfter := collect()
				b.ReportMetric(float64(heapAfter-heapBefore)/float64(m.TotalItems()), "B/entry")
				b.ReportMetric((gcAfter-gcBefore)*1e3, "gc-ms")
				runtime.KeepAlive(m)
			}
		})
	}
}

// numbered returns a key made from n, without a text that would take memory.
func numbered(n uint64) (key cirque.CompactCacheKey) {
	binary.LittleEndian.PutUint64(key.Primary[:8], (n+1)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(key.Primary[8:], n)
	return key
}

// collect runs the garbage collector. It returns the bytes in use after it and the processor
// seconds that it took.
func collect() (heap int64, seconds float64) {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Float64()
	runtime.GC()
	metrics.Read(sample)
	return int64(sample[1].Value.Uint64()), sample[0].Value.Float64() - before
}
