package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// run runs the soak and writes the report to out. ok is false if a rule was broken, or had no
// chance to be broken.
func run(ctx context.Context, o *options, out io.Writer) (ok bool, err error) {
	left := faulty.WatchGoroutines()
	world := newWorld(o.urls, o.seed)
	world.holds = o.broken == ""
	house, err := newHouse(o, world)
	if err != nil {
		return false, err
	}
	s := &soak{house: house, tally: newTally(), rudeness: 60}
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
	wg.Go(func() { s.inspect(ctx) })
	if o.restart > 0 {
		wg.Go(func() { s.restarts(ctx) })
	}
	samples := s.watch(ctx, out)
	wg.Wait()
	elapsed := world.now()

	if err := house.shut(); err != nil {
		s.tally.tell("run", fmt.Sprintf("at the end: %v\n", err))
	}
	s.tellMiscounts()
	if open := house.bodies.Open(); len(open) > 0 {
		s.tally.tell("run", fmt.Sprintf("at the end: %d bodies of the origin were never closed: %.500q\n", len(open), open))
	}
	goroutines := left()
	for _, stack := range goroutines {
		s.tally.tell("run", fmt.Sprintf("at the end: a goroutine is still running:\n%s\n", stack))
	}
	if from, to, grows := grows(samples); grows {
		s.tally.tell("run", fmt.Sprintf("the live heap grew from %.1f to %.1f MiB in the second half\n", mib(from), mib(to)))
	}
	s.tally.count(chanceOrder, int(world.overtakings.Load()))
	for _, name := range s.idle(elapsed) {
		s.tally.tell("run", fmt.Sprintf("the run did not exercise a rule: the count %q is 0\n", name))
	}
	s.tally.print(out, s, elapsed)
	fmt.Fprintf(out, "goroutines %d left\n", len(goroutines))
	return s.tally.violations == 0, nil
}

// tellMiscounts tells what the caches have counted wrongly.
func (s *soak) tellMiscounts() {
	for _, wrong := range s.miscounts {
		if s.counts(wrong) {
			s.tally.tell("count", wrong+"\n")
		}
	}
	s.miscounts = nil
	if s.broken.purger != nil || s.options.broken == "" && s.tally.violations > 0 {
		return
	}
	for what, kind := range map[string]string{"purges": "key", "soft purges": "soft key", "purges of groups": "group", "purges of all": "all"} {
		if done := s.tally.counts[what]; done != s.purges[kind] {
			s.tally.tell("count", fmt.Sprintf("count: %s: %d counted, %d done\n", what, s.purges[kind], done))
		}
	}
}

// idle returns the names of required counts that are zero. A run of few requests has no required
// counts. Rare events are required only of a run of more than a minute.
func (s *soak) idle(elapsed time.Duration) (names []string) {
	if s.requests.Load() < 4000 || s.options.broken != "" {
		return nil
	}
	needed := []string{chanceWhose, chanceHead, chanceCookie, "purges", "soft purges", "purges of groups", "unsafe", "coalesced", "stale hits"}
	if elapsed > time.Minute {
		needed = append(needed, chanceOrder, "purges of all")
	}
	if s.options.restart > 0 && s.options.restart < elapsed {
		needed = append(needed, "restarts")
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	for _, name := range needed {
		if s.tally.counts[name] == 0 {
			names = append(names, name)
		}
	}
	return names
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

// restarts restarts the house at intervals until ctx ends.
func (s *soak) restarts(ctx context.Context) {
	tick := time.NewTicker(s.options.restart)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.house.restart(); err != nil {
			s.tally.tell("run", fmt.Sprintf("restart: %v\n", err))
			s.stop()
			return
		}
		s.tally.count("restarts", 1)
		if s.options.first && len(s.miscounts) > 0 {
			s.stop()
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
		if res.class.lasting && random.IntN(20) > 0 {
			continue // frequent purges would end every long lifetime
		}
		ctx := context.WithoutCancel(ctx)
		switch {
		case n%100 == 0:
			s.timed(&s.world.all, false, "purges of all", func() error { return s.purger.PurgeAll(ctx) })
		case n%30 == 0:
			s.timed(&s.world.groups[res.group], false, "purges of groups", func() error {
				return s.purger.PurgeGroup(ctx, s.keyed(s.options.front, res), groupName(res.group))
			})
		case n%3 == 0:
			s.timed(&res.invalidations, true, "soft purges", func() error { return s.purgeURL(ctx, res, s.purger.SoftPurge) })
		default:
			s.timed(&res.invalidations, false, "purges", func() error { return s.purgeURL(ctx, res, s.purger.Purge) })
		}
	}
}

// inspect looks into the caches at random until ctx ends. That changes neither answers nor counts.
func (s *soak) inspect(ctx context.Context) {
	random := s.world.random(1 << 42)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var cursor string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		cursor = s.inspectOnce(random, cursor)
	}
}

// inspectOnce explains one request, and lists one page from cursor on.
func (s *soak) inspectOnce(random *rand.Rand, cursor string) (next string) {
	s.using.RLock()
	defer s.using.RUnlock()
	cache := s.caches[random.IntN(len(s.caches))]
	r := s.keyed(s.options.front, s.world.resources[random.IntN(len(s.world.resources))])
	r.Header.Set(deviceField, devices[random.IntN(len(devices))])
	r.Header.Set(languageField, languages[random.IntN(len(languages))])
	e := cache.Explain(r)
	if e.Error != "" || e.Now == "" {
		s.tally.tell("explain", fmt.Sprintf("explain: %+v\n", e))
	}
	s.tally.count("explained "+string(e.Now), 1)
	page, err := cache.Entries(context.Background(), middleware.EntriesQuery{Cursor: cursor, Limit: 20})
	if err != nil {
		s.tally.tell("explain", fmt.Sprintf("entries: %v\n", err))
	}
	s.tally.count("listed", len(page.Entries))
	return page.Next
}

func (s *soak) purgeURL(ctx context.Context, res *resource, purge func(context.Context, *http.Request) error) error {
	// The content of every other resource changes first.
	if res.id%2 == 0 {
		res.mu.Lock()
		res.version++
		res.mu.Unlock()
	}
	return purge(ctx, s.keyed(s.options.front, res))
}

// timed records the beginning and the end of an invalidation. A failed one is reported and not
// recorded.
func (s *soak) timed(v *invalidations, soft bool, what string, invalidate func() error) {
	s.using.RLock()
	defer s.using.RUnlock()
	begin := s.world.now()
	if err := invalidate(); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		s.tally.tell("run", fmt.Sprintf("at %v: %s: %v\n", begin, what, err))
		return
	}
	v.add(span{begin, s.world.now()}, soft)
	s.tally.count(what, 1)
}
