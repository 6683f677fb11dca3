package table

import "sync/atomic"

// Node is what an eviction manager knows about one tracked entry. It takes 64 bytes, a cache line,
// and has no pointers, so a million nodes cost the garbage collector nothing.
//
// A hit that holds no lock may read atomic fields, write Mark and FreshUntil, and set [Read]. All
// other access needs the lock of the shard.
type Node struct {
	key [4]atomic.Uint64

	// Mark is what hits record for the policy.
	Mark atomic.Uint64

	// Weight is in bytes. It is zero while the node is not tracked.
	Weight int64

	// FreshUntil is in Unix seconds. It is zero if unknown.
	FreshUntil atomic.Uint32

	// Stored says when the entry was stored, and in its lowest bit, [Read], whether it was read
	// since. The unit of the time is the manager's. A time of zero is unknown.
	Stored atomic.Uint32

	// Aux belongs to the policy; it can hold the links of a list, for example.
	Aux [2]uint32
}

// Read is the bit of Node.Stored that the first hit sets.
const Read = 1

// MarkRead notes that the entry was read.
func (n *Node) MarkRead() {
	if n.Stored.Load()&Read == 0 {
		n.Stored.Or(Read)
	}
}

// Key returns the identity of the entry.
func (n *Node) Key() Key {
	return Key{n.key[0].Load(), n.key[1].Load(), n.key[2].Load(), n.key[3].Load()}
}

func (n *Node) setKey(k *Key) {
	for i := range n.key {
		n.key[i].Store(k[i])
	}
}

// is reports whether n is the node of k. Without the lock, another key may take over n during the
// comparison. The result then holds for its beginning or its end.
func (n *Node) is(k *Key) bool {
	return n.key[0].Load() == k[0] && n.key[1].Load() == k[1] &&
		n.key[2].Load() == k[2] && n.key[3].Load() == k[3]
}

const (
	chunkBits = 8
	chunkSize = 1 << chunkBits
)

type chunk [chunkSize]Node

// slab hands out nodes by number. Chunks never move, so a node may be read while the slab grows.
// Freed nodes are reused; chunks are not given back.
type slab struct {
	chunks atomic.Pointer[[]*chunk]
	used   uint32 // numbers up to this one are in use or in the free list
	free   uint32 // head of the free list, linked through Aux[0]

	// tags holds the numbers of user tags, by chunk. Few caches have user tags, so a chunk without
	// any has nil, or nothing at all.
	tags []*[chunkSize]uint32
}

func (s *slab) at(id uint32) *Node {
	return &(*s.chunks.Load())[id>>chunkBits][id%chunkSize]
}

// alloc returns the number of a node whose fields, except the key, are zero. No node has number
// zero.
func (s *slab) alloc() uint32 {
	if id := s.free; id != 0 {
		n := s.at(id)
		s.free, n.Aux[0] = n.Aux[0], 0
		return id
	}
	s.used++
	if s.used == 1 || s.used%chunkSize == 0 {
		var chunks []*chunk
		if old := s.chunks.Load(); old != nil {
			chunks = *old
		}
		// Appending in place is safe: readers hold the shorter slice and do not look beyond it.
		chunks = append(chunks, new(chunk))
		s.chunks.Store(&chunks)
	}
	return s.used
}

func (s *slab) release(id uint32) {
	n := s.at(id)
	n.Mark.Store(0)
	n.Weight = 0
	n.FreshUntil.Store(0)
	n.Stored.Store(0)
	s.setTag(id, 0)
	n.Aux = [2]uint32{s.free, 0}
	s.free = id
}

// tag returns the number of a node's user tag; zero: it has none.
func (s *slab) tag(id uint32) uint32 {
	if i := id >> chunkBits; int(i) < len(s.tags) && s.tags[i] != nil {
		return s.tags[i][id%chunkSize]
	}
	return 0
}

func (s *slab) setTag(id, tag uint32) {
	if s.tag(id) == tag {
		return
	}
	i := int(id >> chunkBits)
	if i >= len(s.tags) {
		s.tags = append(s.tags, make([]*[chunkSize]uint32, i+1-len(s.tags))...)
	}
	if s.tags[i] == nil {
		s.tags[i] = new([chunkSize]uint32)
	}
	s.tags[i][id%chunkSize] = tag
}
