package eviction

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/eviction/internal/ghost"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// A node's Mark holds its uses in the lowest bits, and above them the clock at its last use.
const (
	usesBits = 8
	usesMask = 1<<usesBits - 1
	maxClock = 1<<(64-usesBits) - 1

	// maxUses bounds how long an entry can live on its past uses: one that was popular yesterday
	// must leave some day. It also makes hits on the hottest entries read-only while the clock does
	// not change.
	maxUses = 63

	// staleShare divides the value of a stale entry.
	staleShare = 16
)

func usesOf(mark uint64) uint8   { return uint8(mark & usesMask) }
func clockOf(mark uint64) uint64 { return mark >> usesBits }

func markOf(clock uint64, uses uint8) uint64 { return clock<<usesBits | uint64(uses) }

// A node's Aux holds two float32.
const (
	auxCost  = 0 // seconds, zero if unknown
	auxWorth = 1 // of one use
)

// priority is GDSF's order. Priorities are fixed-point numbers. A use of an entry of refSize bytes
// is worth one.
type priority struct {
	table      *table.Table
	alpha      float64
	costWeight float64
	heap       heap
	dead       int // nodes in the heap that are not tracked any more
	ghost      *ghost.Ghost
	hand       uint32 // where the sweep for stale entries continues
	chosen     uint64 // the rank of the last victim

	_     [64]byte // keeps the clock, which hits read, away from what changes
	clock atomic.Uint64
	_     [56]byte
}

const (
	one     = 1 << 24
	refSize = 1024

	// firstClock leaves room below it for entries that were last used before a restart.
	firstClock = one << 16

	ghostsPerResident = 2
)

func newPriority(t *table.Table, c GDSFConfig) *priority {
	p := &priority{table: t, alpha: c.Alpha, costWeight: c.CostWeight, ghost: ghost.New(ghostsPerResident)}
	p.clock.Store(firstClock)
	return p
}

// worth returns the value of one use of a fresh entry.
func (p *priority) worth(weight int64, cost float32) float32 {
	w := one * math.Pow(refSize/float64(weight), p.alpha)
	if cost > 0 && p.costWeight > 0 {
		w *= math.Pow(min(max(float64(cost), 1e-3), 10)/0.1, p.costWeight)
	}
	return float32(w)
}

// rank returns the priority of an entry with the given mark. worth is the value of one use while it
// is fresh.
func (p *priority) rank(mark uint64, worth float32, stale bool) uint64 {
	value := float64(usesOf(mark)) * float64(worth)
	if stale {
		value /= staleShare
	}
	return min(clockOf(mark)+uint64(value), maxClock)
}

func (p *priority) rankOf(n *table.Node, now uint32) uint64 {
	return p.rank(n.Mark.Load(), math.Float32frombits(n.Aux[auxWorth]), isStale(n.FreshUntil.Load(), now))
}

func isStale(freshUntil uint32, now uint32) bool { return freshUntil != 0 && freshUntil <= now }

func unixNow() uint32 { return uint32(time.Now().Unix()) }

func (c *candidate) unix() uint32 {
	if c.now == 0 {
		c.now = unixNow()
	}
	return c.now
}

func oneMore(uses uint8) uint8 { return min(uses+1, maxUses) }

func (p *priority) contend(c *candidate) uint64 {
	c.worth = p.worth(c.weight, c.cost)
	mark := markOf(p.clock.Load(), oneMore(p.ghost.Uses(c.hash)))
	return p.rank(mark, c.worth, isStale(c.freshUntil, c.unix()))
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
	if c.worth == 0 { // c did not have to contend
		c.worth = p.worth(c.weight, c.cost)
	}
	n.Aux[auxCost] = math.Float32bits(c.cost)
	n.Aux[auxWorth] = math.Float32bits(c.worth)
	n.Mark.Store(markOf(p.clock.Load(), oneMore(p.ghost.Take(c.hash))))
	p.heap.push(newHeapEntry(id, p.rankOf(n, c.unix())))
}

func (p *priority) hit(n *table.Node, _ uint32) {
	old := n.Mark.Load()
	mark := markOf(p.clock.Load(), oneMore(usesOf(old)))
	// Two hits at the same moment may count as one. A mark that does not change is not written.
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
	id, rank = p.least(now)
	if id != 0 {
		id, rank = p.sweep(now, id, rank)
	}
	p.chosen = rank
	return id, rank
}

// least returns the entry with the lowest priority, as far as the heap knows, and leaves it at the
// top.
func (p *priority) least(now uint32) (id uint32, rank uint64) {
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

// sweepLength is the number of nodes that an eviction checks for stale ones.
const sweepLength = 32

// sweep checks the next nodes for one of a lower rank than the given one. Only a node that has
// become stale can have one: the heap does not notice that.
func (p *priority) sweep(now, id uint32, rank uint64) (uint32, uint64) {
	for range min(p.table.Cap(), sweepLength) {
		if p.hand++; p.hand > p.table.Cap() {
			p.hand = 1
		}
		n := p.table.At(p.hand)
		if n.Weight == 0 || !isStale(n.FreshUntil.Load(), now) {
			continue
		}
		if r := p.rankOf(n, now); r < rank {
			id, rank = p.hand, r
		}
	}
	return id, rank
}

func (p *priority) unlink(n *table.Node, id uint32, victim bool) (parked bool) {
	if victim {
		p.ghost.Put(n.Key().Hash(), usesOf(n.Mark.Load()), p.table.Len())
		p.advance(p.chosen)
		if p.heap[0].id == id {
			p.heap.pop()
			return false
		}
	}
	// The position of the node in the heap is unknown. The node stays until it reaches the top, or
	// until there are too many such nodes.
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

// bury releases a node that is no longer tracked.
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

// A record's Private is the clock's advance since the last use.
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
