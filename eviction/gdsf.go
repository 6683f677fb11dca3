package eviction

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/ghost"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// GDSF evicts what is worth least for its size: the policy called Greedy-Dual-Size-Frequency, with a knob and a memory.
//
// An entry's priority is the clock at its last use plus uses / size^Alpha, and the clock is the highest priority that was
// evicted. So entries earn their stay by use, small ones for longer, and all of them lose it as the clock
// goes on. A newcomer whose priority is lower than every entry's it would have to replace is declined; this only happens
// while there is no room. The uses of evicted and declined entries are remembered,
// for about twice as many keys as are tracked, and count again when the key comes back.
//
// Entries past their freshness that nobody asks for go first. Of other stale entries a use counts a
// quarter, for a revalidation saves the body but not the round trip.
//
// A hit takes no lock: it notes use and clock in the entry. The order is one heap, which learns of it
// when the entry reaches the top. So what lowers a priority, such as a growing weight, also shows only then.
type GDSF struct{ manager }

var _ cirque.EvictionManager = (*GDSF)(nil)

// GDSFConfig holds what a [GDSF] is told.
type GDSFConfig struct {
	Config

	// Alpha says how much size counts against an entry, from 0 (not at all) to 1 (a use of a small
	// entry counts as much more as it is smaller). Lower values raise the share of bytes that hit, higher ones
	// the share of requests. Zero means 0.35; a negative number means 0.
	Alpha float64

	// CostWeight says how much the time an entry took to fetch counts for it: a use is multiplied by
	// (cost / 100 ms)^CostWeight, where cost is known, within 1 ms and 10 s. Zero, the default, ignores costs; 1 is the
	// most.
	CostWeight float64
}

const defaultAlpha = 0.35

// NewGDSF returns an empty GDSF, or an error where c is invalid.
func NewGDSF(c GDSFConfig) (*GDSF, error) {
	switch {
	case c.Alpha == 0:
		c.Alpha = defaultAlpha
	case c.Alpha < 0:
		c.Alpha = 0
	}
	var errs []error
	if !(c.Alpha <= 1) {
		errs = append(errs, fmt.Errorf("eviction: Alpha is %v; it must not be above 1", c.Alpha))
	}
	if !(c.CostWeight >= 0 && c.CostWeight <= 1) {
		errs = append(errs, fmt.Errorf("eviction: CostWeight is %v; it must be from 0 to 1", c.CostWeight))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g := &GDSF{manager{name: "gdsf"}}
	if err := g.init(c.Config, 1, func(t *table.Table) order { return newPriority(t, c) }); err != nil {
		return nil, err
	}
	return g, nil
}

// A node's Mark holds, from the lowest bit, its uses, whether there was one since the sweep last passed, and the clock
// at the last one.
const (
	usesBits  = 8
	usesMask  = 1<<usesBits - 1
	touched   = 1 << usesBits
	clockBits = 64 - usesBits - 1
	maxClock  = 1<<clockBits - 1

	// maxUses bounds how long an entry can live on its past: what was popular yesterday has to leave
	// some day. It also makes hits on the hottest entries read-only for as long as the clock stands.
	maxUses = 63
)

func usesOf(mark uint64) uint8   { return uint8(mark & usesMask) }
func clockOf(mark uint64) uint64 { return mark >> (usesBits + 1) }
func markOf(clock uint64, uses uint8) uint64 {
	return clock<<(usesBits+1) | uint64(uses)
}

// A node's Aux holds two float32.
const (
	auxCost  = 0 // seconds, zero where unknown
	auxWorth = 1 // of one use
)

// priority is GDSF's order. Priorities are fixed-point numbers: a use of an entry of refSize is one.
type priority struct {
	table      *table.Table
	alpha      float64
	costWeight float64
	heap       heap
	dead       int // nodes in the heap that are not tracked any more
	ghost      *ghost.Ghost
	hand       uint32 // where the sweep for stale entries goes on

	_     [64]byte // hits read the clock and should not wait for what changes beside it
	clock atomic.Uint64
	_     [56]byte
}

const (
	one     = 1 << 24
	refSize = 1024

	// firstClock leaves room below, for entries that were last used before a restart.
	firstClock = one << 16

	ghostsPerResident = 2
)

func newPriority(t *table.Table, c GDSFConfig) *priority {
	p := &priority{table: t, alpha: c.Alpha, costWeight: c.CostWeight, ghost: ghost.New(ghostsPerResident)}
	p.clock.Store(firstClock)
	return p
}

// worth returns what a use of an entry counts while it is fresh.
func (p *priority) worth(weight int64, cost float32) float32 {
	w := one * math.Pow(refSize/float64(weight), p.alpha)
	if cost > 0 && p.costWeight > 0 {
		w *= math.Pow(min(max(float64(cost), 1e-3), 10)/0.1, p.costWeight)
	}
	return float32(w)
}

// rank returns the priority of an entry with the given mark, of which a use is worth that much.
func (p *priority) rank(mark uint64, worth float32, stale bool) uint64 {
	value := float64(usesOf(mark)) * float64(worth)
	if stale {
		value /= 4
	}
	return min(clockOf(mark)+uint64(value), maxClock)
}

func (p *priority) rankOf(n *table.Node, now uint32) uint64 {
	return p.rank(n.Mark.Load(), math.Float32frombits(n.Aux[auxWorth]), isStale(n.FreshUntil.Load(), now))
}

func isStale(freshUntil uint32, now uint32) bool { return freshUntil != 0 && freshUntil <= now }

func unixNow() uint32 { return uint32(time.Now().Unix()) }

func oneMore(uses uint8) uint8 { return min(uses+1, maxUses) }

func (p *priority) contend(c *candidate) uint64 {
	mark := markOf(p.clock.Load(), oneMore(p.ghost.Uses(c.hash)))
	return p.rank(mark, p.worth(c.weight, c.cost), isStale(c.freshUntil, unixNow()))
}

func (p *priority) decline(c *candidate, rank uint64) {
	p.advance(rank)
	p.ghost.Put(c.hash, oneMore(p.ghost.Uses(c.hash)), p.table.Len())
}

func (p *priority) advance(rank uint64) {
	if rank > p.clock.Load() {
		p.clock.Store(rank)
	}
}

func (p *priority) link(n *table.Node, id uint32, c *candidate) {
	n.Aux[auxCost] = math.Float32bits(c.cost)
	n.Aux[auxWorth] = math.Float32bits(p.worth(c.weight, c.cost))
	n.Mark.Store(markOf(p.clock.Load(), oneMore(p.ghost.Take(c.hash))))
	p.heap.push(newHeapEntry(id, p.rankOf(n, unixNow())))
}

func (p *priority) hit(n *table.Node, _ uint32) {
	old := n.Mark.Load()
	mark := markOf(p.clock.Load(), oneMore(usesOf(old))) | touched
	// Two hits at once may count as one. What doesn't change isn't written.
	if mark != old {
		n.Mark.Store(mark)
	}
}

func (p *priority) reweigh(n *table.Node, _ int64) {
	cost := math.Float32frombits(n.Aux[auxCost])
	n.Aux[auxWorth] = math.Float32bits(p.worth(n.Weight, cost))
}

func (p *priority) victim() (id uint32, rank uint64) {
	now := unixNow()
	if id := p.sweep(now); id != 0 {
		return id, 0
	}
	for len(p.heap) > 0 {
		top := p.heap[0]
		n := p.table.At(top.id)
		if n.Weight == 0 {
			p.heap.pop()
			p.bury(top.id)
			continue
		}
		rank := p.rankOf(n, now)
		if rank <= top.rank() {
			return top.id, rank
		}
		p.heap.replaceTop(newHeapEntry(top.id, rank))
	}
	return 0, 0
}

// sweepLength is how many nodes an eviction looks at in search of stale ones.
const sweepLength = 32

// sweep returns an entry that is stale and had no hit since it last came by, if there is one among the next nodes. One that is
// hit while it is stale is being revalidated, or worth it.
func (p *priority) sweep(now uint32) (id uint32) {
	last := p.table.Cap()
	for range min(last, sweepLength) {
		id := p.hand + 1
		if id > last {
			id = 1
		}
		n := p.table.At(id)
		if n.Weight > 0 && isStale(n.FreshUntil.Load(), now) && n.Mark.And(^uint64(touched))&touched == 0 {
			return id // and the hand stays: choosing a victim does not remove it
		}
		p.hand = id
	}
	return 0
}

func (p *priority) unlink(n *table.Node, id uint32, victim bool) (parked bool) {
	if victim {
		p.ghost.Put(n.Key().Hash(), usesOf(n.Mark.Load()), p.table.Len())
		if top := p.heap[0]; top.id == id {
			// Where the sweep chose it, its rank may be above that of others, but not what the heap knows.
			p.advance(min(p.rankOf(n, unixNow()), top.rank()))
			p.heap.pop()
			return false
		}
	}
	// Where in the heap the node is, nobody knows. It stays until it reaches the top, or such nodes
	// become too many.
	p.dead++
	if p.dead > 64 && p.dead > len(p.heap)/4 {
		p.heap.filter(func(id uint32) bool {
			if p.table.At(id).Weight > 0 {
				return true
			}
			p.bury(id)
			return false
		})
	}
	return true
}

// bury gives back a node that is not tracked any more.
func (p *priority) bury(id uint32) {
	p.table.Release(id)
	p.dead--
}

func (p *priority) snapshot() []place {
	places := make([]place, 0, p.table.Len())
	now := unixNow()
	for _, e := range p.heap {
		if n := p.table.At(e.id); n.Weight > 0 {
			places = append(places, place{rank: ^p.rankOf(n, now), id: e.id})
		}
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Compare(a.rank, b.rank) })
	return places
}

// A record's Private is how far the clock has gone on since the last use.
func (p *priority) describe(n *table.Node, _ uint32, r *state.Record) {
	mark := n.Mark.Load()
	r.Uses = usesOf(mark)
	r.Cost = math.Float32frombits(n.Aux[auxCost])
	r.Private = p.clock.Load() - min(clockOf(mark), p.clock.Load())
}

func (p *priority) restore(n *table.Node, id uint32, r *state.Record, own bool) {
	clock := p.clock.Load()
	if own {
		clock -= min(r.Private, clock)
	}
	n.Aux[auxCost] = math.Float32bits(r.Cost)
	n.Aux[auxWorth] = math.Float32bits(p.worth(n.Weight, r.Cost))
	n.Mark.Store(markOf(clock, min(max(r.Uses, 1), maxUses)))
	p.heap.push(newHeapEntry(id, p.rankOf(n, unixNow())))
}
