package eviction

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// manager is a cirque.EvictionManager but for the order in which entries leave: shards under one
// ledger, each with a lock, a table and an order of its own. Policies embed it.
//
// No more than one shard's lock is held at a time. Making room takes the locks of the shards
// whose entries leave, so whoever needs room gives up its own lock, gets the room reserved in the ledger,
// and looks again.
type manager struct {
	ledger ledger
	tags   tags
	shards []shard // a power of two

	name     string // of the policy, as New knows it
	lockHits bool   // the order's hit wants the lock
	saving   sync.Mutex
}

type shard struct {
	order order // see there for which methods need the lock
	table table.Table
	mu    sync.Mutex
	_     [64]byte // keeps the locks of two shards off one cache line
}

// indexSegments is over all shards of a manager: at a million entries, sixteen thousand slots to move when one
// grows.
const indexSegments = 64

// init sets up n shards, a power of two, with an order from newOrder each.
func (m *manager) init(c Config, n int, newOrder func(*table.Table) order) error {
	if err := c.validate(); err != nil {
		return err
	}
	m.ledger.limit, m.ledger.maxItems = c.Limit, int64(c.MaxItems)
	m.shards = make([]shard, n)
	for i := range m.shards {
		s := &m.shards[i]
		s.table.Init(max(indexSegments/n, 1))
		s.order = newOrder(&s.table)
	}
	return nil
}

func (m *manager) shard(hash uint64) *shard { return &m.shards[int(hash)&(len(m.shards)-1)] }

// Admit implements [cirque.EvictionManager]. A weight below one counts as one. An entry heavier than the
// limit is handed back.
func (m *manager) Admit(key cirque.CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) (evicted []cirque.CompactCacheKey) {
	c := newCandidate(&key, weight, freshUntil)
	c.cost = max(float32(cost.Seconds()), 0)
	weight, used := c.weight, false
	return m.change(key, c, func(s *shard, n *table.Node, id uint32) int64 {
		if n != nil && !used {
			used = true // also before others make room for it
			s.hit(n, id, c.freshUntil)
			if tag := n.Tag; m.tags.text(tag) != key.UserTag {
				n.Tag = m.tags.acquire(key.UserTag)
				m.tags.release(tag)
			}
		}
		return weight
	})
}

// IncrementWeight implements [cirque.EvictionManager]. maxWeight never lowers a weight. A negative delta does, down to
// one.
func (m *manager) IncrementWeight(key cirque.CompactCacheKey, delta, maxWeight int64) (evicted []cirque.CompactCacheKey) {
	c := newCandidate(&key, 1, time.Time{})
	return m.change(key, c, func(_ *shard, n *table.Node, _ uint32) int64 {
		if n == nil {
			return 0
		}
		weight := n.Weight + delta
		if delta > 0 && weight < 0 {
			weight = math.MaxInt64
		}
		if delta > 0 && maxWeight > 0 {
			weight = min(weight, max(n.Weight, maxWeight))
		}
		return max(weight, 1)
	})
}

func newCandidate(key *cirque.CompactCacheKey, weight int64, freshUntil time.Time) *candidate {
	c := &candidate{
		key:        table.MakeKey(key),
		weight:     max(weight, 1),
		freshUntil: unixSeconds(freshUntil),
	}
	c.hash = c.key.Hash()
	return c
}

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

// change gives the entry of c the weight that weigh returns for its node, which is nil where it isn't tracked;
// zero leaves it untracked.
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
		need := room{weight: c.weight, items: 1}
		if n != nil {
			need = room{weight: c.weight - n.Weight}
		}
		if held != need {
			m.ledger.release(held)
			held = room{}
			if c.weight > m.ledger.limit {
				m.refuse(s, c)
				s.mu.Unlock()
				return m.enforce(append(evicted, key))
			}
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

// insert tracks c, whose room is taken, in s, which is locked.
func (m *manager) insert(s *shard, c *candidate, userTag string) {
	n, id := m.track(s, c, userTag)
	s.order.link(n, id, c)
}

// track makes a node for c, whose order is still to hear of it.
func (m *manager) track(s *shard, c *candidate, userTag string) (n *table.Node, id uint32) {
	n, id = s.table.Insert(c.hash, &c.key)
	n.Weight = c.weight
	n.FreshUntil.Store(c.freshUntil)
	n.Tag = m.tags.acquire(userTag)
	return n, id
}

// drop ends the tracking of a node of s, which is locked, and returns the key it had.
func (m *manager) drop(s *shard, n *table.Node, id uint32, evicted bool) cirque.CompactCacheKey {
	key := n.Key().Compact(m.tags.text(n.Tag))
	m.ledger.release(room{weight: n.Weight, items: 1})
	m.tags.release(n.Tag)
	parked := s.order.unlink(n, id, evicted)
	s.table.Delete(id)
	if !parked {
		s.table.Release(id)
	}
	return key
}

// refuse makes sure that c, which is handed back, is not tracked in s, which is locked.
func (m *manager) refuse(s *shard, c *candidate) {
	if n, id := s.table.Find(c.hash, &c.key); n != nil {
		m.drop(s, n, id, false)
	}
	m.ledger.evicted(c.weight)
}

// makeRoom reserves need for c, evicting what ranks no higher. It reports false, with nothing reserved, where c
// itself is the one to leave.
func (m *manager) makeRoom(need room, rank uint64, c *candidate, evicted *[]cirque.CompactCacheKey) bool {
	for !m.ledger.reserve(need) {
		victim, _, ok := m.evictOne(rank, c)
		if !ok {
			return false
		}
		*evicted = append(*evicted, victim)
	}
	return true
}

// enforce evicts what an Access of an unknown key brought past the limits.
func (m *manager) enforce(evicted []cirque.CompactCacheKey) []cirque.CompactCacheKey {
	for m.ledger.over() {
		victim, _, ok := m.evictOne(unbeatable, nil)
		if !ok {
			break
		}
		evicted = append(evicted, victim)
	}
	return evicted
}

// evictOne evicts the next victim, if there is one, it ranks no higher than rank, and it isn't c.
func (m *manager) evictOne(rank uint64, c *candidate) (key cirque.CompactCacheKey, weight int64, ok bool) {
	for {
		s := m.pickShard()
		if s == nil {
			return key, 0, false
		}
		s.mu.Lock()
		id, r := s.order.victim()
		if id == 0 { // emptied meanwhile
			s.mu.Unlock()
			continue
		}
		n := s.table.At(id)
		if r > rank || c != nil && n.Key() == c.key {
			s.mu.Unlock()
			return key, 0, false
		}
		weight = n.Weight
		key = m.drop(s, n, id, true)
		s.mu.Unlock()
		m.ledger.evicted(weight)
		return key, weight, true
	}
}

// pickShard returns the shard to evict from: of two random ones that whose victim has the lower rank. That comes close
// to one order over all shards. It returns nil where all are empty.
func (m *manager) pickShard() *shard {
	if len(m.shards) == 1 {
		if s := &m.shards[0]; !s.empty() {
			return s
		}
		return nil
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
		if s := m.shard(r + uint64(i)); !s.empty() {
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

func (s *shard) empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table.Len() == 0
}

// Access implements [cirque.EvictionManager]. A hit refreshes what is known of the entry's freshness, not its weight.
func (m *manager) Access(key cirque.CompactCacheKey, weight int64, freshUntil time.Time) (known bool) {
	k := table.MakeKey(&key)
	hash := k.Hash()
	s := m.shard(hash)
	if !m.lockHits {
		if n, id := s.table.Find(hash, &k); n != nil {
			s.hit(n, id, unixSeconds(freshUntil))
			return true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, id := s.table.Find(hash, &k); n != nil {
		s.hit(n, id, unixSeconds(freshUntil))
		return true
	}
	c := newCandidate(&key, weight, freshUntil)
	m.ledger.force(room{weight: c.weight, items: 1})
	m.insert(s, c, key.UserTag)
	return false
}

func (s *shard) hit(n *table.Node, id uint32, freshUntil uint32) {
	if n.FreshUntil.Load() != freshUntil {
		n.FreshUntil.Store(freshUntil)
	}
	s.order.hit(n, id)
}

// Peek implements [cirque.EvictionManager].
func (m *manager) Peek(key cirque.CompactCacheKey) bool {
	k := table.MakeKey(&key)
	hash := k.Hash()
	s := m.shard(hash)
	if n, _ := s.table.Find(hash, &k); n != nil {
		return true
	}
	// Only a search with the lock can tell that the key isn't there.
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.table.Find(hash, &k)
	return n != nil
}

// Remove implements [cirque.EvictionManager].
func (m *manager) Remove(key cirque.CompactCacheKey) {
	k := table.MakeKey(&key)
	hash := k.Hash()
	s := m.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n, id := s.table.Find(hash, &k); n != nil {
		m.drop(s, n, id, false)
	}
}

// Evict implements [cirque.EvictionManager].
func (m *manager) Evict(weight int64) (evicted []cirque.CompactCacheKey) {
	for given := int64(0); given < weight; {
		victim, w, ok := m.evictOne(unbeatable, nil)
		if !ok {
			return evicted
		}
		given += w
		evicted = append(evicted, victim)
	}
	return m.enforce(evicted)
}

// TotalWeight implements [cirque.EvictionManager].
func (m *manager) TotalWeight() int64 { return m.ledger.weight.Load() }

// TotalItems implements [cirque.EvictionManager].
func (m *manager) TotalItems() int { return int(m.ledger.items.Load()) }

// EvictedWeight implements [cirque.EvictionManager]. Entries that were declined count.
func (m *manager) EvictedWeight() int64 { return m.ledger.evictedWeight.Load() }

// EvictedItems implements [cirque.EvictionManager]. Entries that were declined count.
func (m *manager) EvictedItems() int64 { return m.ledger.evictedItems.Load() }
