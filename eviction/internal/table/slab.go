package table

import "sync/atomic"

// Node is what an eviction manager knows about one tracked entry. It takes 64 bytes, a cache line,
// and has no pointers, so a million nodes cost the garbage collector nothing.
//
// A hit that holds no lock may read atomic fields and write Mark and FreshUntil. All other access
// needs the lock of the shard.
type Node struct {
	key [4]atomic.Uint64

	// Mark is what hits record for the policy.
	Mark atomic.Uint64

	// Weight is in bytes. It is zero while the node is not tracked.
	Weight int64

	// FreshUntil is in Unix seconds. It is zero if unknown.
	FreshUntil atomic.Uint32

	// Tag is the number of the user tag, zero for none.
	Tag uint32

	// Aux belongs to the policy; it can hold the links of a list, for example.
	Aux [2]uint32
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
	n.Tag = 0
	n.Aux = [2]uint32{s.free, 0}
	s.free = id
}
