package eviction

import (
	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/ghost"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// S3FIFO evicts entries with little use early. Newcomers enter a small queue, a tenth of the limit.
// At its end, entries that had two hits there move to the main queue; the others are evicted. The
// keys of those are remembered, as many as are tracked, and go straight to the main queue when they
// come back. At the end of the main queue, an entry that was hit takes another turn. At most three
// hits of an entry count. A hit takes no lock.
//
// Juncheng Yang et al., FIFO queues are all you need for cache eviction, SOSP 2023.
type S3FIFO struct{ manager }

var _ cirque.EvictionManager = (*S3FIFO)(nil)

// NewS3FIFO returns an empty S3FIFO, or an error if c is invalid.
func NewS3FIFO(c Config) (*S3FIFO, error) {
	s := &S3FIFO{manager{name: "s3-fifo"}}
	newOrder := func(t *table.Table) order {
		return &threeQueues{
			table:    t,
			small:    list{table: t},
			main:     list{table: t},
			ghost:    ghost.New(1),
			ledger:   &s.ledger,
			itemsMax: c.MaxItems / 10,
		}
	}
	if err := s.init(c, 1, newOrder); err != nil {
		return nil, err
	}
	return s, nil
}

// threeQueues is S3FIFO's order. A node's Mark holds the number of hits, up to maxHits, and the
// flag inMain.
type threeQueues struct {
	welcoming
	table       *table.Table
	small, main list // newest at the front
	smallWeight int64
	ghost       *ghost.Ghost // the keys that the small queue evicted

	ledger   *ledger // its limit bounds the small queue
	itemsMax int     // zero: no limit
}

const (
	maxHits  = 3
	hitsMask = 3
	inMain   = 1 << 2

	// promotion is the number of hits that moves an entry from the small queue to the main one.
	promotion = 2
)

func (q *threeQueues) link(n *table.Node, id uint32, c *candidate) {
	if q.ghost.Take(c.hash) > 0 {
		n.Mark.Store(inMain)
		q.main.pushFront(n, id)
		return
	}
	q.small.pushFront(n, id)
	q.smallWeight += n.Weight
}

func (*threeQueues) hit(n *table.Node, _ uint32) {
	if mark := n.Mark.Load(); mark&hitsMask < maxHits {
		n.Mark.CompareAndSwap(mark, mark+1) // of hits at the same moment, one counts
	}
}

func (q *threeQueues) reweigh(n *table.Node, old int64) {
	if n.Mark.Load()&inMain == 0 {
		q.smallWeight += n.Weight - old
	}
}

func (q *threeQueues) victim() (id uint32, rank uint64) {
	// Every step evicts, moves an entry to main for good, or takes one hit from an entry in main.
	// Hits go on meanwhile. The bound is enough for a cache in which every entry had three hits.
	for range (maxHits + 2) * (q.small.len + q.main.len) {
		if q.main.len == 0 || q.smallFull() {
			id = q.small.back
			n := q.table.At(id)
			if n.Mark.Load()&hitsMask < promotion {
				return id, 0
			}
			q.small.remove(n)
			q.smallWeight -= n.Weight
			n.Mark.Store(inMain)
			q.main.pushFront(n, id)
			continue
		}
		id = q.main.back
		n := q.table.At(id)
		mark := n.Mark.Load()
		if mark&hitsMask == 0 {
			return id, 0
		}
		n.Mark.CompareAndSwap(mark, mark-1)
		q.main.moveToFront(n, id)
	}
	return q.main.back, 0
}

func (q *threeQueues) smallFull() bool {
	return q.small.len > 0 && (q.smallWeight >= q.ledger.limit.Load()/10 || q.itemsMax > 0 && q.small.len >= q.itemsMax)
}

func (q *threeQueues) unlink(n *table.Node, _ uint32, victim bool) (parked bool) {
	if n.Mark.Load()&inMain != 0 {
		q.main.remove(n)
		return false
	}
	q.small.remove(n)
	q.smallWeight -= n.Weight
	if victim {
		q.ghost.Put(n.Key().Hash(), 1, q.small.len+q.main.len)
	}
	return false
}

func (q *threeQueues) snapshot() []place {
	places := make([]place, 0, q.main.len+q.small.len)
	return q.small.appendPlaces(q.main.appendPlaces(places))
}

// A record's Private is inMain or zero.
func (q *threeQueues) describe(n *table.Node, _ uint32, r *state.Record) {
	mark := n.Mark.Load()
	r.Uses, r.Private = uint8(mark&hitsMask), mark&inMain
}

func (q *threeQueues) restore(n *table.Node, id uint32, r *state.Record, own bool) {
	if own && r.Private == 0 {
		n.Mark.Store(uint64(r.Uses & hitsMask))
		q.small.pushBack(n, id)
		q.smallWeight += n.Weight
		return
	}
	n.Mark.Store(inMain)
	if own {
		n.Mark.Or(uint64(r.Uses & hitsMask))
	}
	q.main.pushBack(n, id)
}
