package eviction

import (
	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// FIFO evicts the entry that was admitted first, used or not. A hit writes nothing.
type FIFO struct{ manager }

var _ cirque.EvictionManager = (*FIFO)(nil)

// NewFIFO returns an empty FIFO, or an error if c is invalid.
func NewFIFO(c Config) (*FIFO, error) {
	f := &FIFO{manager{name: "fifo"}}
	if err := f.init(c, 1, func(t *table.Table) order { return &queue{list: list{table: t}} }); err != nil {
		return nil, err
	}
	return f, nil
}

// queue is the order of admission, newest at the front.
type queue struct {
	welcoming
	list
}

func (q *queue) link(n *table.Node, id uint32, _ *candidate) { q.pushFront(n, id) }
func (*queue) hit(*table.Node, uint32)                       {}
func (*queue) reweigh(*table.Node, int64)                    {}
func (q *queue) victim() (id uint32, rank uint64)            { return q.back, 0 }

func (q *queue) unlink(n *table.Node, _ uint32, _ bool) (parked bool) {
	q.remove(n)
	return false
}

func (q *queue) snapshot() []place                                         { return q.appendPlaces(make([]place, 0, q.len)) }
func (*queue) describe(*table.Node, uint32, *state.Record)                 {}
func (q *queue) restore(n *table.Node, id uint32, _ *state.Record, _ bool) { q.pushBack(n, id) }
