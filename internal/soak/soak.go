package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/internal/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// options say what to run.
type options struct {
	duration time.Duration
	front    string
	storage  string
	broken   string
	ranges   middleware.Ranges
	seed     uint64
	memory   int64 // bytes
	workers  int
	urls     int
	calm     bool // no faults from clients
	first    bool // stop at the first violation
}

// soak is one run.
type soak struct {
	*house
	options  *options
	world    *world
	tally    *tally
	requests atomic.Uint64
	rudeness int // how many of a thousand requests misbehave
	stop     context.CancelFunc
}

// run runs the soak, reports to out, and reports whether all was well.
func run(ctx context.Context, o *options, out io.Writer) (ok bool, err error) {
	left := faulty.WatchGoroutines()
	world := newWorld(o.urls, o.seed)
	house, err := newHouse(o, world)
	if err != nil {
		return false, err
	}
	s := &soak{house: house, options: o, world: world, tally: newTally(), rudeness: 60}
	if o.calm {
		s.rudeness = 0
	}
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	s.stop = cancel

	var wg sync.WaitGroup
	for n := range o.workers {
		wg.Go(func() { newClient(s, n).run(ctx) })
	}
	wg.Go(func() { s.purge(ctx) })
	samples := s.watch(ctx, out)
	wg.Wait()
	elapsed := world.now()

	if err := house.shut(); err != nil {
		s.tally.tell(fmt.Sprintf("at the end: %v\n", err))
	}
	if open := house.bodies.Open(); len(open) > 0 {
		s.tally.tell(fmt.Sprintf("at the end: %d bodies of the origin were never closed: %.500q\n", len(open), open))
	}
	goroutines := left()
	for _, stack := range goroutines {
		s.tally.tell(fmt.Sprintf("at the end: a goroutine is left:\n%s\n", stack))
	}
	if from, to, grows := grows(samples); grows {
		s.tally.tell(fmt.Sprintf("the live heap grew from %.1f to %.1f MiB in the second half\n", mib(from), mib(to)))
	}
	s.tally.print(out, s, elapsed)
	fmt.Fprintf(out, "goroutines %d left\n", len(goroutines))
	return s.tally.violations == 0, nil
}

// watch samples the memory until ctx ends.
func (s *soak) watch(ctx context.Context, out io.Writer) []sample {
	tick := time.NewTicker(max(s.options.duration/24, 500*time.Millisecond))
	defer tick.Stop()
	var samples []sample
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
			sample := takeSample(s.world.now())
			samples = append(samples, sample)
			s.tally.mu.Lock()
			violations := s.tally.violations
			s.tally.mu.Unlock()
			sample.print(out, s.requests.Load(), violations)
		}
	}
}

// purge purges at random until ctx ends.
func (s *soak) purge(ctx context.Context) {
	random := s.world.random(1 << 41)
	zipf := rand.NewZipf(random, 1.2, 8, uint64(len(s.world.resources)-1))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		res := s.world.resources[zipf.Uint64()]
		switch {
		case n%500 == 0:
			s.timed(&s.world.all, false, "purges of all", func() {
				s.purged(s.purger.PurgeAll(context.WithoutCancel(ctx)))
			})
		case n%100 == 0:
			s.timed(&s.world.groups[res.group], false, "purges of groups", func() {
				s.purged(s.purger.PurgeGroup(context.WithoutCancel(ctx), s.keyed(s.options.front, res), groupName(res.group)))
			})
		case n%3 == 0:
			s.timed(&res.invalidations, true, "soft purges", func() { s.purgeURL(ctx, res, s.purger.SoftPurge) })
		default:
			s.timed(&res.invalidations, false, "purges", func() { s.purgeURL(ctx, res, s.purger.Purge) })
		}
	}
}

func (s *soak) purgeURL(ctx context.Context, res *resource, purge func(context.Context, *http.Request) error) {
	// Often because the content is another now.
	if res.id%2 == 0 {
		res.mu.Lock()
		res.version++
		res.mu.Unlock()
	}
	// The error says that there was nothing, or that ctx has ended.
	_ = purge(context.WithoutCancel(ctx), s.keyed(s.options.front, res))
}

// purged notes that a purge of everything or of a group failed.
func (s *soak) purged(err error) {
	if err != nil {
		s.tally.tell(fmt.Sprintf("a purge failed: %v\n", err))
	}
}

// timed notes when an invalidation began and ended.
func (s *soak) timed(v *invalidations, soft bool, what string, invalidate func()) {
	begin := s.world.now()
	invalidate()
	v.add(span{begin, s.world.now()}, soft)
	s.tally.count(what, 1)
}

// violated reports an answer that must not have been given.
func (s *soak) violated(q *ask, resp *http.Response, v verdict, wrong string) {
	s.tally.tell(s.world.describe(q, resp, v, wrong))
	if s.options.first {
		s.stop()
	}
}

// broken takes note of an answer that broke off, which must have a reason.
func (s *soak) broken(q *ask, resp *http.Response, err error) {
	switch {
	case timedOut(err):
		s.violated(q, resp, verdict{}, fmt.Sprintf("no answer in %v", patience))
	case !s.world.troubled(q.resource, q.begun):
		s.violated(q, resp, verdict{}, fmt.Sprintf("broke off for no reason: %v", err))
	default:
		s.tally.count("broke off with the origin", 1)
	}
}
