package eviction

import (
	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// useCounting is an order that counts the hits of a node.
type useCounting interface {
	// hits returns how many hits the node had, as far as the order remembers, and whether there may
	// have been more. It is called with the shard's lock held.
	hits(n *table.Node) (hits int, atLeast bool)
}

// Uses implements [inspect.UseCounter]. The policies gdsf and s3fifo count a few hits; for the
// others ok is false.
func (m *manager) Uses(key cirque.CompactCacheKey) (hits int, atLeast, ok bool) {
	k := table.MakeKey(&key)
	hash := k.Hash()
	s := m.shard(hash)
	counting, ok := s.order.(useCounting)
	if !ok {
		return 0, false, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n, _ := s.table.Find(hash, &k)
	if n == nil {
		return 0, false, false
	}
	hits, atLeast = counting.hits(n)
	return hits, atLeast, true
}

// hits implements useCounting. The admission counts as a use; so do uses before the entry was
// evicted the last time, if the order remembers them.
func (p *priority) hits(n *table.Node) (hits int, atLeast bool) {
	uses := usesOf(n.Mark.Load())
	return int(uses) - 1, uses == maxUses
}

// hits implements useCounting. An entry in the main queue pays with its hits for its place.
func (q *threeQueues) hits(n *table.Node) (hits int, atLeast bool) {
	mark := n.Mark.Load()
	return int(mark & hitsMask), mark&hitsMask == maxHits || mark&inMain != 0
}
