package eviction

import (
	"math"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// order is what sets one policy apart from another: the order in which entries leave. Every shard
// has one. Everything around it, from locks to totals, belongs to the manager.
//
// All methods but hit are called with the shard's lock held.
type order interface {
	// contend returns the rank that a newcomer would have. A newcomer that would have to evict an
	// entry of a higher rank is declined. With rank [unbeatable] it is always admitted.
	contend(c *candidate) (rank uint64)
	// decline is told that c, which had that rank, is not admitted.
	decline(c *candidate, rank uint64)

	// link adds the node of c, whose Weight, FreshUntil and Tag are set.
	link(n *table.Node, id uint32, c *candidate)
	// hit notes a hit. Unless the manager has lockHits, it may run at any time without the lock,
	// and must then touch only atomic fields.
	hit(n *table.Node, id uint32)
	// reweigh is told that the node's weight has changed from old.
	reweigh(n *table.Node, old int64)

	// victim returns the entry that leaves next, and its rank. Of the victims of two shards, the
	// one with the lower rank leaves. id is zero if the order is empty.
	victim() (id uint32, rank uint64)
	// unlink removes a node that leaves the table: as the victim, or because it was purged or
	// became too heavy. If unlink returns false, the node's number may be reused at once. If it
	// returns true, the order has parked the node and releases it later.
	unlink(n *table.Node, id uint32, victim bool) (parked bool)

	// snapshot returns all nodes in order. The node that leaves last comes first. Of the nodes of
	// two shards, the one with the lower rank comes first.
	snapshot() []place
	// describe completes the record of a node for saving with what only the order knows.
	describe(n *table.Node, id uint32, r *state.Record)
	// restore links the node of a saved entry, so that it leaves before all present ones. own is
	// true if the same policy saved it.
	restore(n *table.Node, id uint32, r *state.Record, own bool)
}

// candidate is an entry that may become tracked.
type candidate struct {
	key        table.Key
	hash       uint64
	weight     int64
	freshUntil uint32  // Unix seconds; zero: unknown
	cost       float32 // seconds; zero: unknown
	worth      float32 // of one use, set by GDSF; zero: not yet computed
	stored     uint32  // what Node.Stored is to be; zero: it is tracked already, and no new entry
	now        uint32  // Unix seconds; zero: to be found out
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

// heaviest is the greatest weight. It keeps sums of weights from overflowing, even for entries far
// over the limit.
const heaviest = 1 << 47

func clampWeight(weight int64) int64 { return min(max(weight, 1), heaviest) }

// unixSeconds returns t in whole seconds, rounded up. A zero t, an unknown time, gives zero.
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

// place is the place of a node in a saved order.
type place struct {
	rank uint64
	id   uint32
}

// unbeatable is the rank of a newcomer that is admitted whichever entries have to leave.
const unbeatable = math.MaxUint64

// welcoming is the admission part of an order that admits every newcomer.
type welcoming struct{}

func (welcoming) contend(*candidate) uint64  { return unbeatable }
func (welcoming) decline(*candidate, uint64) {}
