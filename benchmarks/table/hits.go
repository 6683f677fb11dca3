package main

import (
	"fmt"
	"io"
	"net/http"

	"github.com/gregjones/httpcache"
)

// The names of the in-process contenders.
const (
	bare      = "bare"      // a handler without a cache
	handler   = "handler"   // Cirque's Handler
	varying   = "varying"   // the same, for a response that varies
	transport = "transport" // Cirque's Transport
	gregjones = "gregjones" // gregjones/httpcache
)

// newHitRig returns a rig that serves one response of 1 KiB again and again. Its argument is the
// name of the contender.
func newHitRig(args []string) (*rig, error) {
	name := args[0]
	origin := newBareHandler(1 << 10)
	cache, err := newCache(ample)
	if err != nil {
		return nil, err
	}
	r := &rig{operations: make(map[string]func(int))}
	switch name {
	case bare:
		r.operations[name] = servings(origin)
		return r, nil
	case varying:
		origin.fields[6] = field{"Vary", "Accept-Encoding"}
		fallthrough
	case handler:
		h := cache.Handler(origin)
		r.operations[name] = servings(h)
		var w blankWriter
		w.serve(h, newRequest(hitPath, hitQuery))
		w.serve(h, newRequest(hitPath, hitQuery))
		if w.bytes != len(origin.body) {
			return nil, fmt.Errorf("a body of %d bytes", w.bytes)
		}
		return r, checkHit(w.header)
	case transport:
		t := cache.Transport(origin)
		r.operations[name] = roundTrips(t)
		return r, readTwice(t, checkHit)
	case gregjones:
		t := httpcache.NewTransport(httpcache.NewMemoryCache())
		t.Transport = origin
		r.operations[name] = roundTrips(t)
		return r, readTwice(t, func(header http.Header) error {
			if header.Get(httpcache.XFromCache) == "" {
				return fmt.Errorf("not a hit: %v", header)
			}
			return nil
		})
	}
	return nil, fmt.Errorf("no such contender: %s", name)
}

// The resource that is requested.
const (
	hitPath  = "/path/to/page"
	hitQuery = "id=1"
)

func servings(h http.Handler) func(int) {
	w, r := &blankWriter{}, newRequest(hitPath, hitQuery)
	return func(n int) {
		for range n {
			w.serve(h, r)
		}
	}
}

func roundTrips(t http.RoundTripper) func(int) {
	r, buffer := newClientRequest(hitPath, hitQuery), make([]byte, 32<<10)
	return func(n int) {
		for range n {
			if _, _, err := readOne(t, r, buffer); err != nil {
				panic(err)
			}
		}
	}
}

// readOne makes a request and reads the response's body.
func readOne(t http.RoundTripper, r *http.Request, buffer []byte) (header http.Header, bytes int, err error) {
	response, err := t.RoundTrip(r)
	if err != nil {
		return nil, 0, err
	}
	defer response.Body.Close()
	for err == nil {
		var n int
		n, err = response.Body.Read(buffer)
		bytes += n
	}
	if err == io.EOF {
		err = nil
	}
	return response.Header, bytes, err
}

// readTwice makes the request twice and checks the second answer.
func readTwice(t http.RoundTripper, check func(http.Header) error) error {
	for asked := 1; ; asked++ {
		header, n, err := readOne(t, newClientRequest(hitPath, hitQuery), make([]byte, 32<<10))
		if err == nil && n != 1<<10 {
			err = fmt.Errorf("a body of %d bytes", n)
		}
		if err != nil || asked == 2 {
			if err == nil {
				err = check(header)
			}
			return err
		}
	}
}

// bareThere is the time of the bare handler, in nanoseconds, on the machine for which the wanted
// times were set. Machines differ, and one machine differs from hour to hour. Only the ratio of a
// hit to the bare handler in the same round stays the same.
const bareThere = 1100

// measureHits returns the rows about hits in process.
func measureHits(b *bench) ([]row, error) {
	samples, err := b.hitContest(bare, handler, varying, transport, gregjones)
	if err != nil {
		return nil, err
	}
	bare, handler, varying, transport, peer := samples[0], samples[1], samples[2], samples[3], samples[4]
	bareCost := cost(bare)
	spent, allocs := difference(handler, bare, sample.cpu), difference(handler, bare, sample.allocs).median
	varySpent, varyAllocs := difference(varying, bare, sample.cpu), difference(varying, bare, sample.allocs).median
	hitAllocs := figure(transport, sample.allocs).median
	share := ratio(handler, bare, sample.cpu).median
	spentThere, hitThere := (share-1)*bareThere, ratio(transport, bare, sample.cpu).median*bareThere
	faster := ratio(peer, transport, sample.cpu)
	return []row{{
		what:     "hit through Handler, in process",
		against:  "bare handler: " + bareCost,
		measured: cost(handler),
		result:   fmt.Sprintf("%s and %s beyond it, %.2f times its time: %.2f µs beyond one of 1.1 µs", microseconds(spent), count(allocs), share, spentThere/1e3),
		wanted:   "≤ 1 µs and ≤ 4 allocs beyond a bare handler of 1.1 µs",
		verdict:  metIf(spentThere <= 1000 && allocs < 4.5),
	}, {
		what:     "the same, of a response that varies",
		against:  "bare handler: " + bareCost,
		measured: cost(varying),
		result:   fmt.Sprintf("%s and %s beyond it", microseconds(varySpent), count(varyAllocs)),
	}, {
		what:     "hit through Transport, in process, body read",
		against:  "gregjones/httpcache: " + cost(peer),
		measured: cost(transport),
		result:   fmt.Sprintf("%s times faster; %.2f µs where a bare handler takes 1.1 µs", times(faster), hitThere/1e3),
		wanted:   "≤ 2.5 µs there and ≤ 10 allocs",
		verdict:  metIf(hitThere <= 2500 && hitAllocs < 10.5),
	}}, nil
}

// hitContest lets hit rigs take turns, one for each name.
func (b *bench) hitContest(names ...string) ([][]sample, error) {
	var contenders []contender
	for _, name := range names {
		p, err := b.startRig(setting{procs: 1}, "hit", name)
		if err != nil {
			return nil, err
		}
		contenders = append(contenders, p.contender(name))
	}
	return b.contest(contenders...)
}
