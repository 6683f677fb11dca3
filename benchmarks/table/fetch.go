package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
)

// The ways in which a fetch rig fetches.
const (
	plain  = "plain"  // an http.Transport
	cached = "cached" // Cirque's Transport around one
)

// fetchers is the number of requests that run at a time.
const fetchers = 8

// newFetchRig returns a rig whose every fetch has a new URL. Its first argument is the way, its
// second the server. Its operations are named by the length of the bodies.
func newFetchRig(args []string) (*rig, error) {
	origin, err := url.Parse(args[1])
	if err != nil {
		return nil, err
	}
	var t http.RoundTripper = &http.Transport{MaxIdleConnsPerHost: 512, DisableCompression: true}
	if args[0] == cached {
		cache, err := newCache(0)
		if err != nil {
			return nil, err
		}
		t = cache.Transport(t)
	}
	r := &rig{operations: make(map[string]func(int))}
	var asked atomic.Int64
	for _, size := range sizes {
		r.operations[strconv.Itoa(size)] = func(n int) {
			var left atomic.Int64
			left.Store(int64(n))
			var wg sync.WaitGroup
			for range min(n, fetchers) {
				wg.Go(func() {
					buffer := make([]byte, 32<<10)
					for left.Add(-1) >= 0 {
						request := newClientRequest(pathOf(size), "id="+strconv.FormatInt(asked.Add(1), 10))
						request.URL.Host, request.Host = origin.Host, origin.Host
						_, bytes, err := readOne(t, request, buffer)
						if err == nil && bytes != size {
							err = fmt.Errorf("a body of %d bytes", bytes)
						}
						if err != nil {
							panic(err)
						}
					}
				})
			}
			wg.Wait()
		}
	}
	return r, nil
}

// measureMisses returns the rows about misses, over loopback. The processor time that client and
// origin take together limits the throughput of a machine that does nothing else.
func measureMisses(b *bench) ([]row, error) {
	two := setting{procs: 2}
	origin, err := b.startRig(two, "serve", serveOrigin)
	if err != nil {
		return nil, err
	}
	var clients []*process
	for _, name := range []string{plain, cached} {
		p, err := b.startRig(two, "fetch", name, origin.address)
		if err != nil {
			return nil, err
		}
		clients = append(clients, p)
	}
	var rows []row
	for _, goal := range []struct {
		size  int
		share float64
	}{{1 << 10, 0.9}, {1 << 20, 0.7}} {
		operation := strconv.Itoa(goal.size)
		samples, err := b.contest(loaded(clients[0], operation, clients[0], origin), loaded(clients[1], operation, clients[1], origin))
		if err != nil {
			return nil, err
		}
		share := ratio(samples[0], samples[1], sample.cpu)
		rows = append(rows, row{
			what:     fmt.Sprintf("misses of %s through Transport", size(float64(goal.size))),
			against:  "the same RoundTripper without a cache: " + rate(perSecond(samples[0], sample.cpu)),
			measured: rate(perSecond(samples[1], sample.cpu)),
			result: fmt.Sprintf("%s of its throughput, %.2f by the clock; %.0f µs and %s beyond it", times(share),
				ratio(samples[0], samples[1], sample.wall).median, difference(samples[1], samples[0], sample.cpu).median/1e3,
				count(difference(samples[1], samples[0], sample.allocs).median)),
			wanted:  fmt.Sprintf("≥ %.1f", goal.share),
			verdict: metIf(share.median >= goal.share),
		})
	}
	return rows, nil
}
