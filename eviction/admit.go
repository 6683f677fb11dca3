package eviction

import (
	"math/rand/v2"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// Admit implements [cirque.EvictionManager]. For a tracked key it also counts as a hit. A weight
// below one counts as one, a weight above 2^47 as 2^47. An entry heavier than the limit is returned
// as evicted.
func (m *manager) Admit(key cirque.CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) (evicted []cirque.CompactCacheKey) {
	c := newCandidate(&key, weight, freshUntil)
	c.cost = max(float32(cost.Seconds()), 0)
	now := time.Now()
	c.stored, c.now = m.left.stored(now), uint32(now.Unix())
	weight, used := c.weight, false
	return m.change(key, c, func(s *shard, n *table.Node, id uint32) int64 {
		if n != nil && !used {
			used = true // change may call this again; the hit counts once, before others make room
			s.hit(n, id, c.freshUntil)
			n.Stored.Store(c.stored) // another response, which nobody has read yet
			if tag := s.table.Tag(id); m.tags.text(tag) != key.UserTag {
				s.table.SetTag(id, m.tags.acquire(key.UserTag))
				m.tags.release(tag)
			}
		}
		return weight
	})
}

// IncrementWeight implements [cirque.EvictionManager]. maxWeight never lowers a weight. A negative
// delta lowers it, but not below one.
func (m *manager) IncrementWeight(key cirque.CompactCacheKey, delta, maxWeight int64) (evicted []cirque.CompactCacheKey) {
	c := newCandidate(&key, 1, time.Time{})
	return m.change(key, c, func(_ *shard, n *table.Node, _ uint32) int64 {
		if n == nil {
			return 0
		}
		weight := n.Weight + min(delta, heaviest)
		if delta > 0 && maxWeight > 0 {
			weight = min(weight, max(n.Weight, maxWeight))
		}
		return clampWeight(weight)
	})
}

// change gives c's entry the weight that weigh returns for its node. The node is nil if the entry
// is not tracked; a weight of zero then leaves it untracked. weigh may be called several times.
func (m *manager) change(key cirque.CompactCacheKey, c *candidate, weigh func(*shard, *table.Node, uint32) int64) (evicted []cirque.CompactCacheKey) {
	s := m.shard(c.hash)
	var held room
	for {
		s.mu.Lock()
		n, id := s.table.Find(c.hash, &c.key)
		c.weight = weigh(s, n, id)
		if c.weight == 0 {
			s.mu.Unlock()
			m.ledger.release(held)
			return m.enforce(evicted)
		}
		if c.weight > m.ledger.limit.Load() {
			m.refuse(s, c)
			s.mu.Unlock()
			m.ledger.release(held)
			return m.enforce(append(evicted, key))
		}
		need := room{weight: c.weight, items: 1}
		if n != nil {
			need = room{weight: c.weight - n.Weight}
		}
		if held != need {
			m.ledger.release(held)
			held = room{}
			if !m.ledger.reserve(need) {
				rank := uint64(unbeatable)
				if n == nil {
					rank = s.order.contend(c)
				}
				s.mu.Unlock()
				if !m.makeRoom(need, rank, c, &evicted) {
					s.mu.Lock()
					if rank != unbeatable {
						s.order.decline(c, rank)
					}
					m.refuse(s, c)
					s.mu.Unlock()
					return m.enforce(append(evicted, key))
				}
				held = need
				continue
			}
		}
		if n == nil {
			m.insert(s, c, key.UserTag)
		} else if n.Weight != c.weight {
			old := n.Weight
			n.Weight = c.weight
			s.order.reweigh(n, old)
		}
		s.mu.Unlock()
		return m.enforce(evicted)
	}
}

// refuse makes sure that c, which is returned as evicted, is not tracked in s, which is locked.
func (m *manager) refuse(s *shard, c *candidate) {
	n, id := s.table.Find(c.hash, &c.key)
	if n != nil && c.stored == 0 { // it has grown too heavy
		m.left.evicted(c.weight, n.Stored.Load(), m.ticks(c))
	} else {
		m.left.decline(c.weight)
	}
	if n != nil {
		m.drop(s, n, id, false)
	}
}

// makeRoom reserves need for c and evicts entries that rank no higher. It returns false, with
// nothing reserved, if c itself must leave.
func (m *manager) makeRoom(need room, rank uint64, c *candidate, evicted *[]cirque.CompactCacheKey) bool {
	for !m.ledger.reserve(need) {
		victim, _, ok := m.evictOne(rank, c, m.ticks(c))
		if !ok {
			return false
		}
		*evicted = append(*evicted, victim)
	}
	return true
}

// enforce evicts until the limits hold again: an Access of an unknown key may have exceeded them.
func (m *manager) enforce(evicted []cirque.CompactCacheKey) []cirque.CompactCacheKey {
	for m.ledger.over() {
		victim, _, ok := m.evictOne(unbeatable, nil, m.left.ticks(time.Now()))
		if !ok {
			break
		}
		evicted = append(evicted, victim)
	}
	return evicted
}

// SetLimit sets the limit, in bytes, and returns the keys that have to leave for it. See
// [cirque.Budget.SetLimit].
func (m *manager) SetLimit(limit int64) (evicted []cirque.CompactCacheKey) {
	m.ledger.limit.Store(max(limit, 0))
	return m.enforce(nil)
}

// evictOne evicts the next victim, at a time in ticks. ok is false if there is none, if it ranks
// higher than rank, or if it is c.
func (m *manager) evictOne(rank uint64, c *candidate, now uint32) (key cirque.CompactCacheKey, weight int64, ok bool) {
	for s := m.pickShard(); s != nil; s = m.pickShard() {
		s.mu.Lock()
		id, r := s.order.victim()
		if id == 0 && len(m.shards) > 1 { // it was emptied since it was picked
			s.mu.Unlock()
			continue
		}
		if id == 0 || r > rank || c != nil && s.table.At(id).Key() == c.key {
			s.mu.Unlock()
			break
		}
		n := s.table.At(id)
		weight = n.Weight
		stored := n.Stored.Load()
		key = m.drop(s, n, id, true)
		s.mu.Unlock()
		m.left.evicted(weight, stored, now)
		return key, weight, true
	}
	return key, 0, false
}

// pickShard returns the shard to evict from: of two random shards, the one whose victim has the
// lower rank. That comes close to one order over all shards. It returns nil if there are several
// shards and all are empty.
func (m *manager) pickShard() *shard {
	if len(m.shards) == 1 {
		return &m.shards[0]
	}
	r := rand.Uint64()
	a, b := m.shard(r), m.shard(r>>32)
	idA, rankA := a.victim()
	idB, rankB := b.victim()
	switch {
	case idA != 0 && (idB == 0 || rankA <= rankB):
		return a
	case idB != 0:
		return b
	}
	for i := range m.shards {
		s := m.shard(r + uint64(i))
		if id, _ := s.victim(); id != 0 {
			return s
		}
	}
	return nil
}

func (s *shard) victim() (id uint32, rank uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.order.victim()
}

// Evict implements [cirque.EvictionManager].
func (m *manager) Evict(weight int64) (evicted []cirque.CompactCacheKey) {
	now := m.left.ticks(time.Now())
	for given := int64(0); given < weight; {
		victim, w, ok := m.evictOne(unbeatable, nil, now)
		if !ok {
			return evicted
		}
		given += w
		evicted = append(evicted, victim)
	}
	return m.enforce(evicted)
}
