package eviction

import (
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// SimpleLRU evicts what has not been used for longest: one exact order behind one lock. A hit takes the lock, which
// [LRU] spreads over shards.
type SimpleLRU struct{ manager }

var _ cirque.EvictionManager = (*SimpleLRU)(nil)

// NewSimpleLRU returns an empty SimpleLRU, or an error where c is invalid.
func NewSimpleLRU(c Config) (*SimpleLRU, error) {
	l := &SimpleLRU{manager{lockHits: true}}
	uses := new(atomic.Uint64)
	if err := l.init(c, 1, func(t *table.Table) order { return newRecency(t, uses) }); err != nil {
		return nil, err
	}
	return l, nil
}

// recency is the order of least recent use: most recent at the front. A node's Mark is the time of its last
// use, by which the victims of two shards are compared.
type recency struct {
	welcoming
	list

	// clock counts admissions over all shards. Hits read it and don't advance it: that would be a write that
	// all of them share.
	clock *atomic.Uint64
}

func newRecency(t *table.Table, clock *atomic.Uint64) *recency {
	return &recency{list: list{table: t}, clock: clock}
}

func (r *recency) link(n *table.Node, id uint32, _ *candidate) {
	n.Mark.Store(r.clock.Add(1))
	r.pushFront(n, id)
}

func (r *recency) hit(n *table.Node, id uint32) {
	n.Mark.Store(r.clock.Load())
	r.moveToFront(n, id)
}

func (*recency) reweigh(*table.Node, int64) {}

func (r *recency) victim() (id uint32, rank uint64) {
	if r.back == 0 {
		return 0, 0
	}
	return r.back, r.table.At(r.back).Mark.Load()
}

func (r *recency) unlink(n *table.Node, _ uint32, _ bool) (parked bool) {
	r.remove(n)
	return false
}
