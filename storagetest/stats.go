package storagetest

import (
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// These cases test Storages that report about themselves. Those that do not skip them.
var statsCases = []testCase{
	{
		name: "StatsEntries",
		rule: "a store that reports its entries counts those in place: no write under way, and nothing that was purged or replaced",
		run: func(e *env) {
			e.wantEntries(0)
			for i := range 5 {
				e.put(key(fmt.Sprint(i)), "a", "a body")
			}
			e.put(key("0"), "b", "another body")
			under := e.write(key("under way"), "a", "a body")
			e.wantEntries(5)
			e.purge(key("1"), cirque.PurgeInvalidation)
			e.purge(key("2"), cirque.PurgeEviction)
			e.wantEntries(3)
			e.finish(under)
			e.wantEntries(4)
		},
	},
	{
		name:  "StatsAddUp",
		rule:  "the bytes that a store reports, by part, add up to what its Budget has charged: at rest and under load",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(100 << 20)
			e.wantParts(budget)
			tag := e.put(key("a"), "a", string(pattern(1<<20)))
			placed := e.wantParts(budget)
			e.wantAtLeast("entries", placed.Entries, 1<<20)
			e.wantAtLeast("in flight", -placed.InFlight, 0)
			e.wantAtLeast("open", -placed.Open, 0)

			long := cirque.NewCacheMeta(200, map[string][]string{"X-Long": {strings.Repeat("x", 20_000)}}, day, day, 0, 0)
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), long, tag))
			e.wantParts(budget)

			h := e.open(key("a"))
			e.wantAtLeast("open", -e.wantParts(budget).Open, 0)
			e.put(key("a"), "b", "small")
			e.wantAtLeast("open", e.wantParts(budget).Open, 1<<20)
			h.Close()
			e.wantAtLeast("open", -e.wantParts(budget).Open, 0)

			w := e.write(key("b"), "a", string(pattern(1<<20)))
			e.wantAtLeast("in flight", e.wantParts(budget).InFlight, 1<<20)
			w.Abort()
			e.wantAtLeast("in flight", -e.wantParts(budget).InFlight, 0)

			e.statsUnderLoad(budget)
		},
	},
	{
		name:  "StatsRefused",
		rule:  "a store that reports counts the reservations that found no room, and no others",
		needs: needBudget,
		run: func(e *env) {
			e.useBudget(1 << 20)
			e.put(key("a"), "a", string(pattern(100_000)))
			if refused := e.report()[0].Refused; refused != 0 {
				e.broken("%d reservations were refused, of an entry that had room", refused)
			}
			_, err := e.store(key("b"), pattern(2<<20))
			e.wantError("storing a body that finds no room", err, cirque.ErrUnlinked)
			if e.report()[0].Refused == 0 {
				e.broken("no reservation was refused, of an entry that had no room")
			}
		},
	},
	{
		name: "StatsOperations",
		rule: "a store that reports operations measures writes, purges and updates, and some of many lookups; to find nothing is no error",
		run: func(e *env) {
			tag := e.put(key("a"), "a", "a body")
			e.put(key("b"), "a", "a body")
			e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), meta("b"), tag))
			e.wantError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("none"), meta("b"), tag), cirque.ErrNotFound)
			e.purge(key("b"), cirque.PurgeInvalidation)
			e.invalidate(key("none"))
			for range 2000 {
				e.open(key("a")).Close()
			}
			e.wantMiss(key("b"))
			for name, least := range map[string]uint64{"write": 2, "purge": 2, "update": 2, "lookup": 1} {
				measured, errors, reported := uint64(0), uint64(0), false
				for _, s := range e.report() {
					o, ok := s.Operations[name]
					measured, errors, reported = measured+o.Time.Count, errors+o.Errors, reported || ok
				}
				if reported && (measured < least || errors > 0) {
					e.broken("%d times %s were measured, and %d errors counted; want at least %d, and none", measured, name, errors, least)
				}
			}
		},
	},
}

// report returns what the storage says about itself. It skips the case if that is nothing.
func (e *env) report() []stats.Storage {
	e.Helper()
	r, ok := e.storage.(stats.StorageReporter)
	if !ok {
		e.Skip("the Storage is no stats.StorageReporter")
	}
	all := r.StorageStats()
	if len(all) == 0 {
		e.Skip("the Storage reports nothing")
	}
	return all
}

// wantEntries fails the test unless the store, or that of its parts that has most, reports n
// entries.
func (e *env) wantEntries(n int64) {
	e.Helper()
	most := int64(-1)
	for _, s := range e.report() {
		most = max(most, s.Entries)
	}
	if most >= 0 && most != n {
		e.broken("%d entries are reported, want %d", most, n)
	}
}

// wantParts fails the test unless the reported bytes add up to what budget has charged. It returns
// them.
func (e *env) wantParts(budget *cirque.Budget) (sum stats.StorageBytes) {
	e.Helper()
	for _, s := range e.report() {
		b := s.Bytes
		if min(b.Entries, b.Index, b.InFlight, b.Open) < 0 {
			e.Skip("the Storage does not report all parts")
		}
		sum.Entries += b.Entries
		sum.Index += b.Index
		sum.InFlight += b.InFlight
		sum.Open += b.Open
	}
	if total := sum.Entries + sum.Index + sum.InFlight + sum.Open; total != budget.Used() {
		e.broken("the parts %+v add up to %d bytes; %d are charged", sum, total, budget.Used())
	}
	return sum
}

func (e *env) wantAtLeast(part string, got, want int64) {
	e.Helper()
	if got < want {
		e.broken("%s: %d bytes are reported, want %d or more", part, max(got, -got), want)
	}
}

// statsUnderLoad runs goroutines that store, open, purge and update. From time to time it stops
// them between two calls, with hits and writes left open, and checks the parts.
func (e *env) statsUnderLoad(budget *cirque.Budget) {
	const goroutines, rounds, checks = 6, 150, 30
	var world sync.RWMutex // locked for reading around each call
	var wg sync.WaitGroup
	defer wg.Wait()
	for g := range goroutines {
		wg.Go(func() {
			l := loader{env: e, rnd: rand.New(rand.NewPCG(1, uint64(g)))}
			for range rounds {
				world.RLock()
				l.step()
				world.RUnlock()
			}
			world.RLock()
			defer world.RUnlock()
			l.end()
		})
	}
	for range checks {
		func() {
			world.Lock()
			defer world.Unlock()
			e.wantParts(budget)
		}()
	}
	wg.Wait()
	e.wantParts(budget)
}

// loader makes random calls, and leaves some hits and a write open.
type loader struct {
	*env
	rnd  *rand.Rand
	hits []cirque.HitHandler
	w    cirque.MissHandler
}

func (l *loader) step() {
	k := key(fmt.Sprint("load", l.rnd.IntN(8)))
	switch n := l.rnd.IntN(10); {
	case n < 3 && l.w == nil:
		l.w, _ = l.storage.MissHandler(l.ctx, k, meta("a"), cirque.MissOptions{SizeHint: -1})
	case n < 3:
		_, _ = l.w.Write(pattern([]int{10, 5000, 100_000}[l.rnd.IntN(3)]))
	case n < 5 && l.w != nil:
		if l.rnd.IntN(4) > 0 {
			_, _ = l.w.Finish()
		}
		l.w.Abort()
		l.w = nil
	case n < 8:
		if _, h, err := l.storage.Lookup(l.ctx, k); err == nil {
			if l.rnd.IntN(2) == 0 && h.CountsAccess() { // a read of a write under way could wait for it
				_, _ = io.CopyN(io.Discard, h, 100)
			}
			if l.rnd.IntN(5) == 0 {
				_ = l.storage.UpdateMeta(l.ctx, k, meta(strings.Repeat("x", l.rnd.IntN(9000))), h.Tag())
			}
			l.hits = append(l.hits, h)
		}
	case n < 9 && len(l.hits) > 0:
		l.hits[0].Close()
		l.hits = l.hits[1:]
	default:
		_ = l.storage.Purge(l.ctx, k.Compact(), purgeTypes[l.rnd.IntN(2)])
	}
}

func (l *loader) end() {
	if l.w != nil {
		l.w.Abort()
	}
	for _, h := range l.hits {
		h.Close()
	}
}
