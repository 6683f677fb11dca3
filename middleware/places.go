package middleware

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
)

// ErrFillYielded is the error of a fill that gave up its place to another because nobody read it.
var ErrFillYielded = errors.New("middleware: the response had no reader, and its place was given to another")

// places are the places of the fills; there are Config.MaxFills. A flight takes one when its answer
// is to be stored.
//
// When all places are taken, a fill that nobody reads and nobody waits for gives up its place: the
// one that began first. It is cancelled, and its place is free at once, however long the origin
// takes to notice. A background revalidation gives up its place only after Config.LockAge.
//
// An eighth of the places is reserved for clients, and URLs, that hold less than a quarter of all.
// So one client, or one URL with its variants, cannot take all of them. If all requests come from
// one address, such as that of a proxy, they cannot use this eighth, and lose nothing else.
//
// Lock order: mu comes before the locks of Fill.Readers and Fill.Awaited.
type places struct {
	max      int
	patience time.Duration // with background revalidations, which nobody reads anyway

	mu      sync.Mutex
	holders map[*flight]holder
}

// holder says for whom a flight has its place.
type holder struct {
	client string // its address; empty if that is not known, or if no client waits
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

// of returns how many fills for key and its variants have a place, and their readers.
func (p *places) of(key cirque.HashBinary) (fills, readers int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f, h := range p.holders {
		if fill := f.fill.Load(); fill != nil && h.key == key {
			fills++
			readers += fill.Readers()
		}
	}
	return fills, readers
}

// holder returns for whom x's flight takes a place.
func (x *transaction) holder() holder {
	h := holder{key: x.hc.Key().PrimaryHash(), begun: x.now}
	if !x.background && x.req.RemoteAddr != "" { // at the Transport door the client is not known
		h.client, _, _ = net.SplitHostPort(x.req.RemoteAddr)
	}
	return h
}

// take takes a place for f, on behalf of h, and reports whether there was one.
func (p *places) take(f *flight, h holder) bool {
	victim, ok := p.assign(f, h)
	if victim != nil {
		victim.yield()
	}
	return ok
}

// assign does the work of take. victim is the flight that lost its place and has to yield, if any.
func (p *places) assign(f *flight, h holder) (victim *flight, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.hasRoomFor(h) {
		if victim = p.oldestUnwanted(); victim == nil {
			return nil, false
		}
		delete(p.holders, victim)
		// A place that an unwanted fill gave up makes nobody's share smaller, so h gets it whatever
		// h holds already.
	}
	if p.holders == nil {
		p.holders = make(map[*flight]holder)
	}
	p.holders[f] = h
	return victim, true
}

// hasRoomFor reports whether there is a place for h. The caller holds mu.
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

// oldestUnwanted returns the flight that nobody reads or waits for: of several, the one that began
// first; nil if there is none. The caller holds mu.
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

// yield ends a flight that has lost its place. Its key is free at once: a cancelled write takes no
// readers, and the next request for the key gets the permit.
func (f *flight) yield() {
	f.cancel(ErrFillYielded)
	f.fill.Load().Yield()
}

// revalidations bounds the background revalidations to Config.MaxRevalidations. When there are as
// many, the one that began first gives way to a new one, if it began more than patience ago. So
// URLs for which the origin does not answer cannot keep all others from being revalidated.
type revalidations struct {
	max      int
	patience time.Duration

	mu   sync.Mutex
	list []*revalidation // in the order in which they began
}

// revalidation is one background revalidation.
type revalidation struct {
	began  time.Time
	cancel context.CancelFunc
}

// enter counts a revalidation, and returns it for leave. It returns nil if there is no room. cancel
// must end the revalidation.
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

// leave removes a revalidation. It does nothing if that was removed before, or gave way to another.
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
