package eviction

import (
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// SimpleLRU evicts the entry that has not been used for longest. It has one exact order behind one
// lock. Every hit takes that lock; [LRU] has one for each shard.
type SimpleLRU struct{ manager }

var _ cirque.EvictionManager = (*SimpleLRU)(nil)

// NewSimpleLRU returns an empty SimpleLRU, or an error if c is invalid.
func NewSimpleLRU(c Config) (*SimpleLRU, error) {
	l := &SimpleLRU{manager{name: "simple-lru", lockHits: true}}
	times := newTimes()
	if err := l.init(c, 1, func(t *table.Table) order { return newRecency(t, times) }); err != nil {
		return nil, err
	}
	return l, nil
}

// recency is the order of last use, most recent at the front. A node's Mark is the time of its last
// use, by which the victims of two shards are compared.
type recency struct {
	welcoming
	list

	*times
}

// times counts the times that nodes are marked with, over all shards.
type times struct {
	// now counts admissions up. Hits read it and do not advance it: otherwise all hits would write
	// to one place.
	now atomic.Uint64
	// past counts restored entries down, from the first value of now.
	past atomic.Uint64
}

func newTimes() *times {
	t := new(times)
	t.now.Store(1 << 63)
	t.past.Store(1 << 63)
	return t
}

func newRecency(t *table.Table, times *times) *recency {
	return &recency{list: list{table: t}, times: times}
}

func (r *recency) link(n *table.Node, id uint32, _ *candidate) {
	n.Mark.Store(r.now.Add(1))
	r.pushFront(n, id)
}

func (r *recency) hit(n *table.Node, id uint32) {
	n.Mark.Store(r.now.Load())
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

func (r *recency) snapshot() []place {
	places := r.appendPlaces(make([]place, 0, r.len))
	for i := range places {
		places[i].rank = ^r.table.At(places[i].id).Mark.Load()
	}
	return places
}

func (*recency) describe(*table.Node, uint32, *state.Record) {}

func (r *recency) restore(n *table.Node, id uint32, _ *state.Record, _ bool) {
	n.Mark.Store(r.past.Add(^uint64(0)))
	r.pushBack(n, id)
}
