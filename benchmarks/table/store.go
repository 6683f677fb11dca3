package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// newStoreRig returns a rig that serves resources of 1 KiB each; its second argument is their
// number. Its first argument names the server: Handler, the bare handler, or a map of responses.
func newStoreRig(args []string) (*rig, error) {
	entries, err := strconv.Atoi(args[1])
	if err != nil {
		return nil, err
	}
	keys := newPaths(entries)
	var h http.Handler = newBareHandler(1 << 10)
	switch args[0] {
	case handler:
		cache, err := newCache(ample)
		if err != nil {
			return nil, err
		}
		h = cache.Handler(h)
		fill(h, keys)
		for _, i := range []int{0, entries / 2, entries - 1} {
			w, r := &blankWriter{}, newRequest(keys.at(i), "")
			w.serve(h, r)
			if err := checkHit(w.header); err != nil {
				return nil, err
			}
		}
	case mapped:
		h = newResponseMap(keys)
	}
	even, first, second := newWalker(h, keys, uniform(entries, 1)), newWalker(h, keys, zipf(entries, 1)), newWalker(h, keys, zipf(entries, 2))
	return &rig{operations: map[string]func(int){
		evenly: even.walk,
		byOne:  first.walk,
		byTwo: func(n int) {
			var wg sync.WaitGroup
			wg.Go(func() { first.walk(n / 2) })
			wg.Go(func() { second.walk(n - n/2) })
			wg.Wait()
		},
	}}, nil
}

// mapped is the contender that has a map of responses.
const mapped = "map"

// responseMap is the least that a cache could do: it has a response for each path and no rules. It
// shows how much of a hit's cost in a large cache is the cost of memory.
type responseMap struct {
	responses map[string][]field
	body      []byte
}

func newResponseMap(keys paths) *responseMap {
	m := &responseMap{make(map[string][]field), bodyOf(1 << 10)}
	for i := range keys.count() {
		fields := fieldsFor(1 << 10)
		for i, f := range fields {
			fields[i].Value = strings.Clone(f.Value)
		}
		m.responses[strings.Clone(keys.at(i))] = fields
	}
	return m
}

// ServeHTTP implements http.Handler.
func (m *responseMap) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for _, f := range m.responses[r.URL.Path] {
		header[f.Name] = []string{f.Value}
	}
	w.Write(m.body)
}

// The operations of a store rig.
const (
	evenly = "evenly" // all resources alike
	byOne  = "one"    // Zipf, one goroutine
	byTwo  = "two"    // Zipf, two goroutines
)

// fill requests each resource once.
func fill(h http.Handler, keys paths) {
	w, r := &blankWriter{}, newRequest("", "")
	for i := range keys.count() {
		r.URL.Path = keys.at(i)
		w.serve(h, r)
	}
}

// walker requests resources in the order of a sequence. Only one goroutine may use it.
type walker struct {
	handler  http.Handler
	keys     paths
	sequence []uint32
	next     int
	w        blankWriter
	r        *http.Request
}

func newWalker(h http.Handler, keys paths, sequence []uint32) *walker {
	return &walker{handler: h, keys: keys, sequence: sequence, r: newRequest("", "")}
}

func (w *walker) walk(n int) {
	for range n {
		w.r.URL.Path = w.keys.at(int(w.sequence[w.next]))
		w.w.serve(w.handler, w.r)
		if w.next++; w.next == len(w.sequence) {
			w.next = 0
		}
	}
}

// measureParallel returns the row about two goroutines. Their throughput on two free cores follows
// from how long a hit keeps a goroutine busy, or waiting for a lock. The throughput by the clock is
// right only while the bare handler's doubles too.
func measureParallel(b *bench) ([]row, error) {
	two := setting{procs: 2}
	cached, err := b.startRig(two, "store", handler, strconv.Itoa(b.entries))
	if err != nil {
		return nil, err
	}
	plain, err := b.startRig(two, "store", bare, strconv.Itoa(b.entries))
	if err != nil {
		return nil, err
	}
	samples, err := b.contest(cached.contender(byOne), cached.contender(byTwo), plain.contender(byOne), plain.contender(byTwo))
	if err != nil {
		return nil, err
	}
	gain, limit := ratio(samples[0], samples[1], sample.wall), ratio(samples[2], samples[3], sample.wall)
	free, bareFree := ratio(samples[0], samples[1], sample.occupied).times(2), ratio(samples[2], samples[3], sample.occupied).times(2)
	return []row{{
		what:     fmt.Sprintf("parallel hits through Handler, two goroutines, Zipf over %s keys", number(b.entries)),
		against:  "one goroutine: " + rate(perSecond(samples[0], sample.wall)),
		measured: rate(perSecond(samples[1], sample.wall)),
		result: fmt.Sprintf("%s times its throughput on two free cores, where the bare handler has %.2f times; by the clock %.2f and %.2f",
			times(free), bareFree.median, gain.median, limit.median),
		wanted:  "≥ 1.8 times",
		verdict: metIf(free.median >= 1.8),
	}}, nil
}

// perSecond returns the spread of operations per second of the time that f returns.
func perSecond(samples []sample, f func(sample) float64) spread {
	return figure(samples, func(s sample) float64 { return 1e9 / f(s) })
}

// hitCosts measures the curves of the plot.
func (b *bench) hitCosts() ([]curve, error) {
	defer b.cleanUp()
	curves := []curve{{name: "Handler, all alike"}, {name: "Handler, Zipf"}, {name: "map, all alike"}, {name: "bare handler"}}
	var contenders []contender
	var sizes []int
	for size := 1000; size <= b.entries; size *= 10 {
		for _, n := range []int{size, 3 * size} {
			if n <= b.entries {
				sizes = append(sizes, n)
			}
		}
	}
	for _, n := range sizes {
		fmt.Fprintf(b.progress, "  %s entries\n", number(n))
		rigs := make(map[string]*process)
		for _, name := range []string{handler, mapped, bare} {
			p, err := b.startRig(setting{procs: 1}, "store", name, strconv.Itoa(n))
			if err != nil {
				return nil, err
			}
			rigs[name] = p
		}
		contenders = append(contenders, rigs[handler].contender(evenly), rigs[handler].contender(byOne),
			rigs[mapped].contender(evenly), rigs[bare].contender(evenly))
	}
	samples, err := b.contest(contenders...)
	if err != nil {
		return nil, err
	}
	for i := range samples {
		c := &curves[i%len(curves)]
		c.points = append(c.points, point{sizes[i/len(curves)], figure(samples[i], sample.cpu)})
	}
	return curves, nil
}
