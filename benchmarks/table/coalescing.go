package main

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// The figures of a coalesce rig.
const (
	figureFetches  = "fetches"
	figureComplete = "complete" // whole answers
	figureHeap     = "heap"     // bytes of a waiter beyond a goroutine blocked in a bare handler
	figureStack    = "stack"    // the same, of its stack
	figureBareHeap = "bare heap"
)

// newCoalesceRig returns a rig in which many clients miss one key at once. Its arguments are the
// number of clients and the front door.
func newCoalesceRig(args []string) (*rig, error) {
	waiters, err := strconv.Atoi(args[0])
	if err != nil {
		return nil, err
	}
	return &rig{experiments: map[string]func() (map[string]float64, error){"coalesce": func() (map[string]float64, error) {
		bareHeap, bareStack, _, _, err := crowd(waiters, args[1], false)
		if err != nil {
			return nil, err
		}
		heap, stack, fetches, complete, err := crowd(waiters, args[1], true)
		if err != nil {
			return nil, err
		}
		return map[string]float64{
			figureFetches: fetches, figureComplete: complete,
			figureHeap: heap - bareHeap, figureStack: stack - bareStack, figureBareHeap: bareHeap,
		}, nil
	}}}, nil
}

// gate is an origin that answers no request until it opens.
type gate struct {
	*bareHandler
	asked atomic.Int64
	open  chan struct{}
}

// ServeHTTP implements http.Handler.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.asked.Add(1)
	<-g.open
	g.bareHandler.ServeHTTP(w, r)
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	g.asked.Add(1)
	<-g.open
	return g.bareHandler.RoundTrip(r)
}

// crowd lets n clients ask for one resource before the origin answers. It returns the memory that
// each of them takes while it waits, how often the origin was asked, and how many clients got the
// whole answer.
func crowd(n int, door string, cached bool) (heap, stack, fetches, complete float64, err error) {
	origin := &gate{bareHandler: newBareHandler(1 << 10), open: make(chan struct{})}
	var h http.Handler = origin
	var t http.RoundTripper = origin
	if cached {
		cache, err := newCache(ample)
		if err != nil {
			return 0, 0, 0, 0, err
		}
		h, t = cache.Handler(origin), cache.Transport(origin)
	}
	requests, writers := make([]*http.Request, n), make([]blankWriter, n)
	for i := range requests {
		requests[i] = newClientRequest(hitPath, hitQuery)
	}

	inUse()
	before := readMetrics(heapObjects, stacks)
	var done sync.WaitGroup
	var whole atomic.Int64
	var buffers sync.Pool
	for i := range n {
		done.Go(func() {
			if door == handler {
				writers[i].serve(h, requests[i])
			} else {
				response, err := t.RoundTrip(requests[i])
				if err != nil {
					return
				}
				writers[i].bytes = drain(response, &buffers)
			}
			if writers[i].bytes == len(origin.body) {
				whole.Add(1)
			}
		})
	}
	if err := settle(n); err != nil {
		return 0, 0, 0, 0, err
	}
	inUse()
	after := readMetrics(heapObjects, stacks)
	close(origin.open)
	done.Wait()
	perWaiter := func(name string) float64 { return (after[name] - before[name]) / float64(n) }
	return perWaiter(heapObjects), perWaiter(stacks), float64(origin.asked.Load()), float64(whole.Load()), nil
}

// drain reads a response's body and returns its length.
func drain(response *http.Response, buffers *sync.Pool) (n int) {
	buffer, _ := buffers.Get().(*[32 << 10]byte)
	if buffer == nil {
		buffer = new([32 << 10]byte)
	}
	defer buffers.Put(buffer)
	defer response.Body.Close()
	for {
		read, err := response.Body.Read(buffer[:])
		if n += read; err != nil {
			return n
		}
	}
}

// settle waits until n goroutines are waiting.
func settle(n int) error {
	const waiting = "/sched/goroutines/waiting:goroutines"
	samples := []metrics.Sample{{Name: waiting}}
	for range 600 {
		metrics.Read(samples)
		if samples[0].Value.Uint64() >= uint64(n) {
			runtime.Gosched()
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%d goroutines wait, not %d", samples[0].Value.Uint64(), n)
}

// measureCoalescing returns the rows about many misses on one key.
func measureCoalescing(b *bench) ([]row, error) {
	const waiters = 10_000
	var rows []row
	for _, door := range []string{handler, transport} {
		p, err := b.startRig(setting{}, "coalesce", strconv.Itoa(waiters), door)
		if err != nil {
			return nil, err
		}
		got, err := p.measure("coalesce")
		if err != nil {
			return nil, err
		}
		if got[figureComplete] != waiters {
			return nil, fmt.Errorf("%.0f of %d clients got a whole answer", got[figureComplete], waiters)
		}
		rows = append(rows, row{
			what:     fmt.Sprintf("%s misses coalesced on one key, %s", number(waiters), doorName(door)),
			against:  fmt.Sprintf("a goroutine that waits in the origin: %s of heap", size(got[figureBareHeap])),
			measured: fmt.Sprintf("%.0f fetched", got[figureFetches]),
			result:   fmt.Sprintf("%s a waiter beyond its goroutine, whose stack has %s more", size(got[figureHeap]), size(got[figureStack])),
			wanted:   "one fetch, ≤ 2 KiB a waiter",
			verdict:  metIf(got[figureFetches] == 1 && got[figureHeap] <= 2048),
		})
	}
	return rows, nil
}

func doorName(door string) string {
	if door == handler {
		return "Handler"
	}
	return "Transport"
}
