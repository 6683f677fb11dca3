package memcache

import (
	"errors"
	"sync/atomic"
)

var errReleasedTwice = errors.New("memcache: a reference to a body was released twice")

// body is a finished body outside of the block of its entry. Its memory is freed when nobody refers
// to it.
//
// A reference that all hits of a body count is a cache line that they share. It is bearable because
// such a body is large. A hit on a small one copies it and has no reference: see hit.
//
// INVARIANT: while refs is above zero, charged bytes of the budget are reserved for the body.
type body struct {
	cache    *MemCache
	segments [][]byte // none is empty
	size     int64
	charged  int64

	// refs counts inTable while the entry is in the table, one for each open hit, and one for the
	// write that the body came from, until nobody reads that any more.
	refs atomic.Int32
}

// inTable is the count of the table's reference. It lets the last hit to close see whether the
// entry is still in the table.
const inTable = 1 << 30

// heldMin is the least size of a body that counts in MemCache.held while somebody refers to it
// beside the table. A hit on a smaller one is soon over.
const heldMin = 64 << 10

// enter adds the table's reference. The write has one of its own.
func (b *body) enter() {
	b.refs.Add(inTable)
	b.count(b.charged)
}

// leave gives up the table's reference.
func (b *body) leave() {
	switch refs := b.refs.Add(-inTable); {
	case refs > 0:
		b.count(-b.charged)
	case refs == 0:
		b.free()
	default:
		panic(errReleasedTwice)
	}
}

// hold adds a reference. The entry must not leave the table during the call.
func (b *body) hold() {
	if b.refs.Add(1) == inTable+1 {
		b.count(b.charged)
	}
}

// letGo gives up a reference that is not the table's.
func (b *body) letGo() {
	switch b.refs.Add(-1) {
	case inTable:
		b.count(-b.charged)
	case 0:
		b.free()
	case inTable - 1, -1:
		panic(errReleasedTwice)
	}
}

// count adds n to what an eviction would not free.
func (b *body) count(n int64) {
	if b.size >= heldMin {
		b.cache.held.Add(n)
	}
}

func (b *body) free() {
	for _, segment := range b.segments {
		b.cache.memory.Free(segment)
	}
	b.segments = nil
	b.cache.budget.Release(b.charged)
}
