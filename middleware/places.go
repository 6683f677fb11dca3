package middleware

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
)

// ErrFillYielded is why a fill ends that nobody read when others wanted its place.
var ErrFillYielded = errors.New("middleware: nobody read the response, and another wanted its place")

// places are those of the fills, Config.MaxFills of them. A flight takes one when its answer is to
// be stored.
//
// When all are taken, a fill that nobody reads and nobody waits for gives up its own: it is
// cancelled; of several, the one that began first. The place is free at once, however long the
// origin needs to notice. A background revalidation has Config.LockAge before that happens to it.
//
// An eighth of the places is for those who hold less than a quarter: one client, or one URL in its
// variants, cannot take them all. Where all requests come from one address, a proxy's, that costs
// this eighth and no more.
//
// Lock order: mu before what Fill.Readers and Fill.Awaited take.
type places struct {
	max      int
	patience time.Duration // with background revalidations, which nobody reads in any case

	mu      sync.Mutex
	holders map[*flight]holder
}

// holder is for whom a flight has its place.
type holder struct {
	client string // the address; empty where it is not known, and for what no client waits for
	key    cirque.HashBinary
	begun  time.Time // when its header came
}

// now returns how many fills have a place, and how many clients read along with them.
func (p *places) now() (fills, readers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.holders {
		if fill := f.fill.Load(); fill != nil {
			readers += fill.Readers()
		}
	}
	return len(p.holders), readers
}

// holder returns for whom x's flight takes a place.
func (x *transaction) holder() holder {
	h := holder{key: x.hc.Key().PrimaryHash(), begun: x.now}
	if !x.background && x.req.RemoteAddr != "" { // at the Transport door nobody knows the client
		h.client, _, _ = net.SplitHostPort(x.req.RemoteAddr)
	}
	return h
}

// take takes a place for f, which is for h, and reports whether there was one.
func (p *places) take(f *flight, h holder) bool {
	victim, ok := p.assign(f, h)
	if victim != nil {
		victim.yield()
	}
	return ok
}

// assign is take, and returns the flight whose place it was if that has to yield.
func (p *places) assign(f *flight, h holder) (victim *flight, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hasRoomFor(h) {
		if victim = p.oldestUnwanted(); victim == nil {
			return nil, false
		}
		delete(p.holders, victim)
		// What is taken from the abandoned is no smaller a share for the others: whoever comes
		// first has it.
	}
	if p.holders == nil {
		p.holders = make(map[*flight]holder)
	}
	p.holders[f] = h
	return victim, true
}

// hasRoomFor reports whether there is a place for h. Called with mu held.
func (p *places) hasRoomFor(h holder) bool {
	taken := len(p.holders)
	if taken < p.max-p.max/8 {
		return true
	}
	if taken >= p.max {
		return false
	}
	byClient, byKey := 0, 0
	for _, other := range p.holders {
		if h.client != "" && other.client == h.client {
			byClient++
		}
		if other.key == h.key {
			byKey++
		}
	}
	return max(byClient, byKey) < p.max/4
}

// oldestUnwanted returns the flight that nobody reads or waits for, of several the one that began first;
// nil if there is none. Called with mu held.
func (p *places) oldestUnwanted() (oldest *flight) {
	for f, h := range p.holders {
		if oldest != nil && !h.begun.Before(p.holders[oldest].begun) {
			continue
		}
		if (f.waited || time.Since(h.begun) > p.patience) && f.unwanted() {
			oldest = f
		}
	}
	return oldest
}

// release gives up the place of f, if it still has one.
func (p *places) release(f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.holders, f)
}

// unwanted reports whether nobody reads the fill or waits for it.
func (f *flight) unwanted() bool {
	fill := f.fill.Load()
	return fill != nil && fill.Readers() == 0 && !fill.Awaited()
}

// yield ends a flight whose place was taken away. Its key is free at once: a cancelled write takes
// no readers, and the next request that asks for it has the turn.
func (f *flight) yield() {
	f.cancel(ErrFillYielded)
	f.fill.Load().Yield()
}

// turns bound the background revalidations, Config.MaxRevalidations of them. When all are taken,
// the one gives way that began first, if that is more than patience ago: an origin that does not
// answer for some URLs does not keep all others from being revalidated.
type revalidations struct {
	max      int
	patience time.Duration

	mu   sync.Mutex
	list []*revalidation // in order of their beginning
}

// turn is one background revalidation.
type revalidation struct {
	began  time.Time
	cancel context.CancelFunc
}

// enter returns a turn, which release ends, or nil. cancel ends the revalidation.
func (t *revalidations) enter(cancel context.CancelFunc) *revalidation {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if len(t.list) >= t.max {
		first := t.list[0]
		if now.Sub(first.began) <= t.patience {
			return nil
		}
		t.list = t.list[1:]
		defer first.cancel()
	}
	mine := &revalidation{began: now, cancel: cancel}
	t.list = append(t.list, mine)
	return mine
}

// leave ends a turn. Ending one again, or one that was taken away, does nothing.
func (t *revalidations) leave(mine *revalidation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, other := range t.list {
		if other == mine {
			t.list = append(t.list[:i:i], t.list[i+1:]...)
			return
		}
	}
}

// now returns how many revalidations are under way.
func (t *revalidations) now() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.list)
}
