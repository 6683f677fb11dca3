package main

import (
	"fmt"
	"math"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

// Metrics of the runtime.
const (
	heapObjects = "/memory/classes/heap/objects:bytes"
	stacks      = "/memory/classes/heap/stacks:bytes"
	gcSeconds   = "/cpu/classes/gc/total:cpu-seconds"
	scannable   = "/gc/scan/heap:bytes"
	mutexWait   = "/sync/mutex/wait/total:seconds"
)

// readMetrics returns the values of runtime metrics.
func readMetrics(names ...string) map[string]float64 {
	samples := make([]metrics.Sample, len(names))
	for i, name := range names {
		samples[i].Name = name
	}
	metrics.Read(samples)
	values := make(map[string]float64)
	for _, s := range samples {
		switch s.Value.Kind() {
		case metrics.KindUint64:
			values[s.Name] = float64(s.Value.Uint64())
		case metrics.KindFloat64:
			values[s.Name] = s.Value.Float64()
		}
	}
	return values
}

// inUse returns the bytes of objects in the heap, garbage excluded.
func inUse() float64 {
	runtime.GC()
	runtime.GC() // frees what the first one finalized or took out of pools
	return readMetrics(heapObjects)[heapObjects]
}

// offHeap returns the bytes that the cache has outside of the heap.
func offHeap(cache *middleware.Cache) (sum float64) {
	for _, store := range cache.Stats().Storage {
		sum += float64(store.OffHeap.Used)
	}
	return sum
}

// The figures of a memory rig.
const (
	figureResident = "resident"
	figureTotal    = "total"  // bytes an entry, everything counted
	figureBeyond   = "beyond" // of them, those that are neither body nor header nor key text
)

// newMemoryRig returns a rig that fills a cache through its Handler with twice the entries that it
// has room for, so that the lists of evicted keys are full too. Its argument is the number of
// entries that it has room for.
func newMemoryRig(args []string) (*rig, error) {
	entries, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, err
	}
	return &rig{experiments: map[string]func() (map[string]float64, error){"memory": func() (map[string]float64, error) {
		return measureEntries(entries)
	}}}, nil
}

func measureEntries(entries int) (map[string]float64, error) {
	origin, keys := newBareHandler(1<<10), newPaths(2*entries)

	// The cache does not tell how many entries it has room for, so a small one is filled and
	// counted.
	const smallBytes = 16 << 20
	small, err := newCache(smallBytes)
	if err != nil {
		return nil, err
	}
	some := paths{keys.text[:min(len(keys.text), smallBytes/500*pathLength)]}
	h := small.Handler(origin)
	fill(h, some)
	weight := smallBytes / resident(h, some)
	small, h = nil, nil

	before := inUse()
	cache, err := newCache(int64(weight * float64(entries)))
	if err != nil {
		return nil, err
	}
	h = cache.Handler(origin)
	fill(h, keys)
	total := inUse() - before + offHeap(cache)
	if err := profileHeap("memory"); err != nil {
		return nil, err
	}
	held := resident(h, keys)
	runtime.KeepAlive(cache)

	r := newRequest(keys.at(0), "")
	key, _ := middleware.DefaultKey(r)
	known := len(origin.body) + headerText(origin.fields) + len(key)
	return map[string]float64{
		figureResident: held,
		figureTotal:    total / held,
		figureBeyond:   total/held - float64(known),
	}, nil
}

// resident counts the resources that the cache has.
func resident(h http.Handler, keys paths) (n float64) {
	w, r := &blankWriter{}, newRequest("", "")
	r.Header.Set("Cache-Control", "only-if-cached")
	for i := range keys.count() {
		r.URL.Path = keys.at(i)
		if w.serve(h, r); w.status == http.StatusOK {
			n++
		}
	}
	return n
}

// measureMemory returns the row about bytes an entry.
func measureMemory(b *bench) ([]row, error) {
	p, err := b.startRig(setting{}, "memory", strconv.Itoa(b.entries))
	if err != nil {
		return nil, err
	}
	got, err := p.measure("memory")
	if err != nil {
		return nil, err
	}
	return []row{{
		what:     fmt.Sprintf("memory per entry, %.2f M entries and as many evicted", got[figureResident]/1e6),
		against:  fmt.Sprintf("body, header and key text: %.0f bytes", got[figureTotal]-got[figureBeyond]),
		measured: fmt.Sprintf("%.0f bytes", got[figureTotal]),
		result:   fmt.Sprintf("%.0f bytes beyond it", got[figureBeyond]),
		wanted:   "≤ 300 bytes beyond",
		verdict:  metIf(got[figureBeyond] <= 300),
	}}, nil
}

// The figures of a collection rig: seconds, and bytes.
const (
	figureEmpty     = "empty"     // a collection before there are entries
	figureFull      = "full"      // a collection with entries
	figureEmptyCPU  = "empty cpu" // the same, of the whole process
	figureFullCPU   = "full cpu"
	figureScannable = "scannable" // bytes of heap that may hold pointers
)

// newCollectionRig returns a rig that measures garbage collections before and after a cache is
// filled. Its argument is the number of entries.
func newCollectionRig(args []string) (*rig, error) {
	entries, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, err
	}
	return &rig{experiments: map[string]func() (map[string]float64, error){"collection": func() (map[string]float64, error) {
		keys := newPaths(entries)
		empty, emptyCPU := collection()
		cache, err := newCache(ample)
		if err != nil {
			return nil, err
		}
		fill(cache.Handler(newBareHandler(1<<10)), keys)
		full, fullCPU := collection()
		scan := readMetrics(scannable)[scannable]
		runtime.KeepAlive(cache)
		return map[string]float64{
			figureEmpty: empty, figureFull: full, figureEmptyCPU: emptyCPU, figureFullCPU: fullCPU, figureScannable: scan,
		}, nil
	}}}, nil
}

// collection returns the processor seconds of one full garbage collection, as the runtime accounts
// for it and as the system does for the process. Each is the least of several, because all have the
// same work. The runtime's account goes by the clock, so it includes the time that other processes
// take from the collector.
func collection() (runtimes, process float64) {
	runtime.GC()
	runtimes, process = math.Inf(1), math.Inf(1)
	for range 15 {
		before, cpu := readMetrics(gcSeconds)[gcSeconds], processTime(os.Getpid())
		runtime.GC()
		runtimes = min(runtimes, readMetrics(gcSeconds)[gcSeconds]-before)
		process = min(process, (processTime(os.Getpid()) - cpu).Seconds())
		time.Sleep(10 * time.Millisecond)
	}
	return runtimes, process
}

// measureCollection returns the row about garbage collection.
func measureCollection(b *bench) ([]row, error) {
	p, err := b.startRig(setting{procs: 2}, "collection", strconv.Itoa(b.entries))
	if err != nil {
		return nil, err
	}
	got, err := p.measure("collection")
	if err != nil {
		return nil, err
	}
	more := (got[figureFull] - got[figureEmpty]) * 1e3
	return []row{{
		what:     fmt.Sprintf("garbage collection with %s entries, one full cycle", number(b.entries)),
		against:  fmt.Sprintf("empty heap: %.1f ms", got[figureEmpty]*1e3),
		measured: fmt.Sprintf("%.1f ms", got[figureFull]*1e3),
		result: fmt.Sprintf("%.1f ms more (%.1f ms by the processor's clock); %s to scan", more,
			(got[figureFullCPU]-got[figureEmptyCPU])*1e3, size(got[figureScannable])),
		wanted:  "≤ 50 ms more",
		verdict: metIf(more <= 50),
	}}, nil
}
