// Package table keeps the tracked entries of an eviction manager: nodes in a slab, and an index
// that finds them by key without a lock.
package table

// Table is a set of nodes by key. Its zero value is not usable; see [Table.Init].
//
// Find may run at any time. All other methods need the lock of the shard the table belongs to.
type Table struct {
	segments []segment // a power of two; each grows on its own, so no growth takes long
	slab     slab
	len      int
}

// Init prepares the table for use. The index is split into segments, a power of two.
func (t *Table) Init(segments int) { t.segments = make([]segment, segments) }

// Len returns the number of nodes.
func (t *Table) Len() int { return t.len }

// Cap returns the highest number that a node has had. Numbers begin at one.
func (t *Table) Cap() uint32 { return t.slab.used }

// At returns the node with number id.
func (t *Table) At(id uint32) *Node { return t.slab.at(id) }

// Tag returns the number of the user tag of the node with number id; zero means none.
func (t *Table) Tag(id uint32) uint32 { return t.slab.tag(id) }

// SetTag sets it. The first tag of 256 nodes takes a kilobyte.
func (t *Table) SetTag(id, tag uint32) { t.slab.setTag(id, tag) }

// segment chooses by bits 16 and up of hash; the lowest bits choose the shard.
func (t *Table) segment(hash uint64) *segment {
	return &t.segments[int(hash>>16)&(len(t.segments)-1)]
}

// Find returns the node of key and its number, or nil. Without the lock, it may overlook a node
// that is being moved in the index. The returned node may be given to another key at any time; a
// hit then counts for the wrong key, which is harmless.
func (t *Table) Find(hash uint64, key *Key) (*Node, uint32) {
	p := t.segment(hash).slots.Load()
	if p == nil {
		return nil, 0
	}
	slots := *p
	high := uint32(hash >> 32)
	i := home(high, len(slots))
	// Without the lock a full lap is possible in theory.
	for range slots {
		slot := slots[i].Load()
		if slot == 0 {
			break
		}
		if uint32(slot>>32) == high {
			id := uint32(slot)
			if n := t.slab.at(id); n.is(key) {
				return n, id
			}
		}
		if i++; i == len(slots) {
			i = 0
		}
	}
	return nil, 0
}

// Insert adds a node for key, which must not have one.
func (t *Table) Insert(hash uint64, key *Key) (*Node, uint32) {
	id := t.slab.alloc()
	n := t.slab.at(id)
	n.setKey(key)
	t.segment(hash).insert(uint32(hash>>32), id)
	t.len++
	return n, id
}

// Delete removes the node with number id from the table. It sets the weight to zero and leaves the
// other fields as they are. The number is in use until Release.
func (t *Table) Delete(id uint32) {
	n := t.slab.at(id)
	hash := n.Key().Hash()
	t.segment(hash).remove(uint32(hash>>32), id)
	n.Weight = 0
	t.len--
}

// Release allows a deleted node to be reused.
func (t *Table) Release(id uint32) { t.slab.release(id) }
