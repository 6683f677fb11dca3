package storagetest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/cirquecache/cirque"
)

var budgetCases = []testCase{
	{
		name:  "BudgetCharge",
		rule:  "an entry is charged to the Budget with its weight, and released when it is purged",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			for i, size := range []int{1, 100, 10_000, 1 << 20} {
				k := key(fmt.Sprint(i))
				before := budget.Used()
				e.put(k, "a", string(pattern(size)))
				if used, weight := budget.Used()-before, e.weight(k); used < weight {
					e.broken("an entry of weight %d has %d bytes charged", weight, used)
				}
			}
			for i := range 4 {
				e.purge(key(fmt.Sprint(i)), purgeTypes[i%2])
			}
			e.wantUsed(budget, empty)
		},
	},
	{
		name:  "BudgetOverwrite",
		rule:  "the charge of an entry that a write replaces is released",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			e.put(key("a"), "a", string(pattern(100_000)))
			once := budget.Used()
			for range 10 {
				e.put(key("a"), "a", string(pattern(100_000)))
			}
			e.wantUsed(budget, once)
		},
	},
	{
		name:  "BudgetOpenHit",
		rule:  "a purged or replaced body that readers still have open stays charged until the last of them is closed",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			for _, typ := range purgeTypes {
				e.put(key("a"), "a", string(pattern(1<<20)))
				first, second := e.open(key("a")), e.open(key("a"))
				e.put(key("a"), "b", "small")
				e.purge(key("a"), typ)
				first.Close()
				if budget.Used() < 1<<20 {
					e.broken("%d bytes are charged while a reader has %d open", budget.Used(), 1<<20)
				}
				second.Close()
				e.wantUsed(budget, empty)
			}
		},
	},
	{
		name:  "BudgetInFlight",
		rule:  "a write under way is charged as it grows, and released when it is aborted or voided",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			for range 2 {
				w := e.write(key("a"), "a", string(pattern(1<<20)))
				if budget.Used() < 1<<20 {
					e.broken("%d bytes are charged for %d written", budget.Used(), 1<<20)
				}
				w.Abort()
				e.wantUsed(budget, empty)
			}
			w := e.write(key("a"), "a", string(pattern(1<<20)))
			e.invalidate(key("a"))
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrNotFound)
			e.wantUsed(budget, empty)
		},
	},
	{
		name:  "BudgetUpdateMeta",
		rule:  "a meta of another size changes the charge and the weight by the same number of bytes",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			for _, size := range []int{100, 100_000} {
				for _, header := range []int{10_000, 10, 20_000} {
					tag := e.put(key("a"), "a", string(pattern(size)))
					used, weight := budget.Used(), e.weight(key("a"))
					m := cirque.NewCacheMeta(http.StatusOK, http.Header{"X-Long": {strings.Repeat("x", header)}}, day, day, 0, 0)
					e.noError("UpdateMeta", e.storage.UpdateMeta(e.ctx, key("a"), m, tag))
					if got, want := budget.Used()-used, e.weight(key("a"))-weight; got != want {
						e.broken("the weight changed by %d, the charge by %d", want, got)
					}
				}
				e.purge(key("a"), cirque.PurgeEviction)
				e.wantUsed(budget, empty)
			}
		},
	},
	{
		name:  "BudgetEvicts",
		rule:  "a reservation that does not fit evicts from within the store, so the store must not hold a lock then that Purge takes",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(500_000)
			empty := budget.Used()
			manager := new(fifo)
			budget.EvictWith(manager, e.storage)
			done := make(chan error, 4)
			for i := range cap(done) {
				go func() { done <- e.fill(manager, i, 10) }()
			}
			for range cap(done) {
				e.noError("filling the store beyond its budget", await(e, "a write that has to evict", done))
			}
			if manager.evicted == 0 {
				e.broken("2.5 MiB were stored in a budget of 500 kB without an eviction; %d bytes are charged", budget.Used())
			}
			for _, k := range manager.Evict(1 << 40) {
				e.noError("Purge", e.storage.Purge(e.ctx, k, cirque.PurgeEviction))
			}
			e.wantUsed(budget, empty)
		},
	},
	{
		name:  "BudgetFutile",
		rule:  "a reservation that cannot succeed, because readers have too much open, evicts nothing: the Storage is a HoldingStorage",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(4 << 20)
			manager := new(fifo)
			budget.EvictWith(manager, e.storage)
			small := func(i int) cirque.CacheKey { return key(fmt.Sprint("small", i)) }
			for i := range 10 {
				manager.track(small(i).Compact(), e.weightOfPut(small(i), 10_000))
			}
			hits := make([]cirque.HitHandler, 5)
			for i := range hits {
				k := key(fmt.Sprint("large", i))
				manager.track(k.Compact(), e.weightOfPut(k, 500_000))
				hits[i] = e.open(k)
			}
			futile := func() {
				_, err := e.store(key("futile"), pattern(1_900_000))
				e.wantError("storing a body that cannot find room", err, cirque.ErrUnlinked)
				if manager.evicted != 0 {
					e.broken("%d entries were evicted for nothing", manager.evicted)
				}
			}
			futile()
			for i := range 3 {
				e.purge(key(fmt.Sprint("large", i)), cirque.PurgeEviction)
				manager.forget(key(fmt.Sprint("large", i)).Compact())
			}
			futile()
			for i := range 10 {
				e.open(small(i)).Close()
			}
			for _, h := range hits {
				h.Close()
			}
		},
	},
	{
		name:  "BudgetTooSmall",
		rule:  "a write that finds no room does not fail: its readers get the whole body, Finish returns ErrUnlinked, nothing is stored, and nothing stays charged",
		needs: needBudget,
		run: func(e *env) {
			budget := e.useBudget(300_000)
			empty := budget.Used()
			body := pattern(1 << 20)
			w := e.begin(key("a"), meta("a"), cirque.MissOptions{SizeHint: -1})
			read := func() {}
			if s, ok := w.(cirque.StreamingMissHandler); ok {
				h := e.openReader(s)
				got := e.drain(h)
				read = func() {
					e.same(await(e, "reading a write without room", got), body)
					h.Close()
				}
			}
			for p := range slices.Chunk(body, 64<<10) {
				e.append(w, p)
			}
			_, err := w.Finish()
			e.wantError("Finish", err, cirque.ErrUnlinked)
			read()
			e.wantMiss(key("a"))
			e.wantUsed(budget, empty)
		},
	},
	{
		name:  "BudgetPartialHit",
		rule:  "a body that readers of its write have open stays charged after Finish and a purge, until the last reader is closed",
		needs: needStreamingBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			for _, size := range []int{100, 1 << 20} {
				w := e.write(key("a"), "a", string(pattern(size)))
				h := e.open(key("a"))
				e.finish(w)
				e.purge(key("a"), cirque.PurgeInvalidation)
				if budget.Used() < empty+int64(size) {
					e.broken("%d bytes are charged while a reader has %d open", budget.Used(), size)
				}
				e.wantBody(h, pattern(size))
				h.Close()
				e.wantUsed(budget, empty)
			}
		},
	},
	{
		name:  "BudgetUnlink",
		rule:  "an unlinked write releases what all its readers have read, and the rest when the last reader has left",
		needs: needStreamingBudget,
		run: func(e *env) {
			budget := e.useBudget(10 << 20)
			empty := budget.Used()
			w := e.streamWrite(key("a"), "a", string(pattern(4<<20)))
			h := e.openReader(w)
			_, err := io.CopyN(io.Discard, onlyReader{h}, 4<<20)
			e.noError("Read", err)
			w.Unlink()
			if used := budget.Used() - empty; used > 2<<20 {
				e.broken("%d bytes are charged after all 4 MiB were read", used)
			}
			h.Close()
			w.Abort()
			e.wantUsed(budget, empty)
		},
	},
}

func (e *env) wantUsed(budget *cirque.Budget, want int64) {
	e.Helper()
	if got := budget.Used(); got != want {
		e.broken("%d bytes of the budget are in use, want %d", got, want)
	}
}

// weight returns what the entry of k weighs.
func (e *env) weight(k cirque.CacheKey) int64 {
	e.Helper()
	h := e.open(k)
	defer h.Close()
	return h.Weight()
}

// weightOfPut stores a body of that size and returns the entry's weight.
func (e *env) weightOfPut(k cirque.CacheKey, size int) int64 {
	e.Helper()
	e.put(k, "a", string(pattern(size)))
	return e.weight(k)
}

// fill stores n bodies under keys that contain id, and tells manager of them.
func (e *env) fill(manager *fifo, id, n int) error {
	for i := range n {
		k := key(fmt.Sprintf("%d/%d", id, i))
		switch f, err := e.store(k, pattern(64<<10)); {
		case err == nil:
			manager.track(k.Compact(), f.Size)
		case !errors.Is(err, cirque.ErrUnlinked): // all room may be taken by the other writes for a moment
			return err
		}
	}
	return nil
}

// store writes an entry. If the storage streams, a reader reads the body meanwhile. Unlike put,
// store may be called from any goroutine.
func (e *env) store(k cirque.CacheKey, body []byte) (f cirque.MissFinish, err error) {
	w, err := e.storage.MissHandler(e.ctx, k, meta("a"), cirque.MissOptions{SizeHint: int64(len(body))})
	if err != nil {
		return f, err
	}
	if s, ok := w.(cirque.StreamingMissHandler); ok {
		h, err := s.NewReader(e.ctx)
		if err != nil {
			w.Abort()
			return f, err
		}
		got := e.drain(h)
		defer func() {
			<-got
			h.Close()
		}()
	}
	defer w.Abort()
	if _, err := w.Write(body); err != nil {
		return f, err
	}
	return w.Finish()
}

// fifo has the methods of an EvictionManager that a Budget needs. It is safe for concurrent use.
type fifo struct {
	cirque.EvictionManager // nil: a Budget calls no other method

	mu      sync.Mutex
	keys    []cirque.CompactCacheKey
	weights []int64
	evicted int
}

func (f *fifo) track(k cirque.CompactCacheKey, weight int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = append(f.keys, k)
	f.weights = append(f.weights, weight)
}

// forget ends the tracking of k.
func (f *fifo) forget(k cirque.CompactCacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.keys, k); i >= 0 {
		f.keys, f.weights = slices.Delete(f.keys, i, i+1), slices.Delete(f.weights, i, i+1)
	}
}

func (f *fifo) TotalWeight() (total int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, weight := range f.weights {
		total += weight
	}
	return total
}

func (f *fifo) Evict(weight int64) []cirque.CompactCacheKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.keys) && weight > 0 {
		weight -= f.weights[n]
		n++
	}
	victims := slices.Clone(f.keys[:n])
	f.keys, f.weights = f.keys[n:], f.weights[n:]
	f.evicted += n
	return victims
}
