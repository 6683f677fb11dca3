package eviction

import (
	"math"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// order is what makes one policy different from another: in which order entries leave. A shard has one.
// Everything around it, from locks to totals, is the manager's.
//
// All methods but hit are called with the shard's lock held.
type order interface {
	// contend returns the rank a newcomer would have. Where it would have to
	// evict an entry of a higher one, it is declined. [unbeatable] is admitted in any case.
	contend(c *candidate) (rank uint64)
	// decline tells that c, which had that rank, is not admitted.
	decline(c *candidate, rank uint64)

	// link adds the node of c, whose Weight, FreshUntil and Tag are set.
	link(n *table.Node, id uint32, c *candidate)
	// hit notes a hit. It may run at any time, without the lock unless the policy asked for
	// it, and then touches nothing but what is atomic.
	hit(n *table.Node, id uint32)
	// reweigh tells that the node's weight, which was old, has changed.
	reweigh(n *table.Node, old int64)

	// victim returns the entry to leave next and its rank: of two shards' victims, the lower one
	// leaves. It is zero where the order is empty.
	victim() (id uint32, rank uint64)
	// unlink takes out a node that leaves the table: as the victim, or because it was purged or became
	// too heavy. Its number may be used again at once, unless the order parks it, to release it later.
	unlink(n *table.Node, id uint32, victim bool) (parked bool)

	// snapshot returns all nodes in order, that which leaves last first. Of two shards' nodes, that with the lower
	// rank comes first.
	snapshot() []place
	// describe completes the record of a node for saving, by what only the order knows.
	describe(n *table.Node, id uint32, r *state.Record)
	// restore links the node of a saved entry, to leave before all that are there. own says that
	// it was saved by the same policy.
	restore(n *table.Node, id uint32, r *state.Record, own bool)
}

// candidate is an entry that asks to be tracked.
type candidate struct {
	key        table.Key
	hash       uint64
	weight     int64
	freshUntil uint32  // Unix seconds; zero: unknown
	cost       float32 // seconds; zero: unknown
	worth      float32 // what GDSF made of weight and cost; zero: nothing yet
}

func newCandidate(key *cirque.CompactCacheKey, weight int64, freshUntil time.Time) *candidate {
	c := &candidate{
		key:        table.MakeKey(key),
		weight:     clampWeight(weight),
		freshUntil: unixSeconds(freshUntil),
	}
	c.hash = c.key.Hash()
	return c
}

// heaviest keeps sums of weights from overflowing, even of entries far over the limit.
const heaviest = 1 << 47

func clampWeight(weight int64) int64 { return min(max(weight, 1), heaviest) }

// unixSeconds returns t in whole seconds, rounded up; zero, for an unknown time, stays zero.
func unixSeconds(t time.Time) uint32 {
	if t.IsZero() {
		return 0
	}
	sec := t.Unix()
	if t.Nanosecond() > 0 {
		sec++
	}
	return uint32(min(max(sec, 1), math.MaxUint32))
}

// place is a node's in a saved order.
type place struct {
	rank uint64
	id   uint32
}

// unbeatable is the rank of a newcomer that is admitted whoever has to leave.
const unbeatable = math.MaxUint64

// welcoming is the half of an order that admits every newcomer.
type welcoming struct{}

func (welcoming) contend(*candidate) uint64  { return unbeatable }
func (welcoming) decline(*candidate, uint64) {}
