package eviction

import (
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// manager is a cirque.EvictionManager without the order in which entries leave. It has shards under
// one ledger, each with its own lock, table and order. Policies embed it.
//
// A call holds at most one shard's lock at a time. Making room takes the locks of the shards whose
// entries leave. So a call that needs room unlocks its own shard, reserves the room in the ledger,
// locks again, and looks up its entry again.
type manager struct {
	ledger ledger
	left   departures
	tags   tags
	shards []shard // their number is a power of two

	name     string // of the policy, as New knows it
	lockHits bool   // order.hit needs the lock
	saving   sync.Mutex
}

type shard struct {
	order order // says which of its methods need the lock
	table table.Table
	mu    sync.Mutex
	_     [64]byte // keeps the locks of two shards off one cache line
}

// indexSegments is the number of index segments over all shards of a manager. At a million entries,
// one that grows has sixteen thousand slots to move.
const indexSegments = 64

// init sets up n shards, a power of two, each with an order from newOrder.
func (m *manager) init(c Config, n int, newOrder func(*table.Table) order) error {
	if err := c.validate(); err != nil {
		return err
	}
	m.ledger.limit.Store(c.Limit)
	m.ledger.maxItems = int64(c.MaxItems)
	m.left.start = time.Now()
	m.shards = make([]shard, n)
	for i := range m.shards {
		s := &m.shards[i]
		s.table.Init(max(indexSegments/n, 1))
		s.order = newOrder(&s.table)
	}
	return nil
}

func (m *manager) shard(hash uint64) *shard { return &m.shards[int(hash)&(len(m.shards)-1)] }

// Access implements [cirque.EvictionManager]. A hit updates the entry's freshness, unless
// freshUntil is zero, and leaves the weight alone.
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
	c.stored = storedBefore
	m.ledger.force(room{weight: c.weight, items: 1})
	m.insert(s, c, key.UserTag)
	return false
}

func (s *shard) hit(n *table.Node, id uint32, freshUntil uint32) {
	if freshUntil != 0 && n.FreshUntil.Load() != freshUntil {
		n.FreshUntil.Store(freshUntil)
	}
	n.MarkRead()
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
	// Only a search with the lock held can tell that the key is absent.
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

// insert tracks c in s, which is locked. The room for c must be reserved.
func (m *manager) insert(s *shard, c *candidate, userTag string) {
	n, id := m.track(s, c, userTag)
	s.order.link(n, id, c)
}

// track makes a node for c. The caller must tell the order about it.
func (m *manager) track(s *shard, c *candidate, userTag string) (n *table.Node, id uint32) {
	n, id = s.table.Insert(c.hash, &c.key)
	n.Weight = c.weight
	n.FreshUntil.Store(c.freshUntil)
	n.Stored.Store(c.stored)
	s.table.SetTag(id, m.tags.acquire(userTag))
	return n, id
}

// drop ends the tracking of a node of s, which is locked, and returns its key.
func (m *manager) drop(s *shard, n *table.Node, id uint32, victim bool) cirque.CompactCacheKey {
	tag := s.table.Tag(id)
	key := n.Key().Compact(m.tags.text(tag))
	m.ledger.release(room{weight: n.Weight, items: 1})
	m.tags.release(tag)
	parked := s.order.unlink(n, id, victim)
	s.table.Delete(id)
	if !parked {
		s.table.Release(id)
	}
	return key
}

// TotalWeight implements [cirque.EvictionManager].
func (m *manager) TotalWeight() int64 { return m.ledger.weight.Load() }

// TotalItems implements [cirque.EvictionManager].
func (m *manager) TotalItems() int { return int(m.ledger.items.Load()) }

// EvictedWeight implements [cirque.EvictionManager]. Declined entries count too.
func (m *manager) EvictedWeight() int64 { return m.left.bytes.Load() + m.left.declinedBytes.Load() }

// EvictedItems implements [cirque.EvictionManager]. Declined entries count too.
func (m *manager) EvictedItems() int64 { return m.left.items.Load() + m.left.declined.Load() }
