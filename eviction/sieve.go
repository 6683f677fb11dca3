package eviction

import (
	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/state"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// SIEVE evicts an entry that has not been used since the hand last passed it. Entries stay in the
// order of their admission. The hand moves from the oldest to the newest and round again. It passes
// over an entry that had a hit, and clears the hit; it evicts the first entry without one. A hit
// sets one bit, without a lock.
//
// Yazhuo Zhang et al., SIEVE is Simpler than LRU, NSDI 2024.
type SIEVE struct{ manager }

var _ cirque.EvictionManager = (*SIEVE)(nil)

// NewSIEVE returns an empty SIEVE, or an error if c is invalid.
func NewSIEVE(c Config) (*SIEVE, error) {
	s := &SIEVE{manager{name: "sieve"}}
	if err := s.init(c, 1, func(t *table.Table) order { return &sieve{queue: queue{list: list{table: t}}} }); err != nil {
		return nil, err
	}
	return s, nil
}

// sieve is SIEVE's order: the order of admission and a hand. A node's Mark is one if it was hit
// since the hand passed it.
type sieve struct {
	queue
	hand uint32 // the node to look at next; zero: the back
}

func (*sieve) hit(n *table.Node, _ uint32) {
	if n.Mark.Load() == 0 {
		n.Mark.Store(1)
	}
}

func (s *sieve) victim() (id uint32, rank uint64) {
	if s.back == 0 {
		return 0, 0
	}
	// Hits go on meanwhile, so the search stops after two rounds: then the hand takes the node that
	// it points at.
	for range 2 * s.len {
		if s.hand == 0 {
			s.hand = s.back
		}
		n := s.table.At(s.hand)
		if n.Mark.Swap(0) == 0 {
			break
		}
		s.hand = n.Aux[linkPrev]
	}
	if s.hand == 0 {
		s.hand = s.back
	}
	return s.hand, 0
}

func (s *sieve) unlink(n *table.Node, id uint32, victim bool) (parked bool) {
	if s.hand == id {
		s.hand = n.Aux[linkPrev]
	}
	return s.queue.unlink(n, id, victim)
}

// A record's Private is one if the hand points at its node.
func (s *sieve) describe(n *table.Node, id uint32, r *state.Record) {
	r.Uses = uint8(n.Mark.Load())
	if id == s.hand {
		r.Private = 1
	}
}

func (s *sieve) restore(n *table.Node, id uint32, r *state.Record, own bool) {
	s.pushBack(n, id)
	if own {
		n.Mark.Store(uint64(min(r.Uses, 1)))
		if r.Private == 1 {
			s.hand = id
		}
	}
}
