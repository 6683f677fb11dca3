package memcache

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"github.com/cirquecache/cirque"
)

const (
	// inlineMax is up to which size a body lives in its entry's block.
	inlineMax = 4 << 10

	// entryOverhead is what an entry weighs beyond its block: record (48 bytes), its share of the
	// index (up to 10), block header (8), its share of the end of a page that was too short for the
	// next block (20), and what the managers of package eviction keep of it (up to 107).
	entryOverhead = 192

	// bodyOverhead and segmentOverhead are what a body outside of the block weighs beyond its
	// bytes.
	bodyOverhead    = 128
	segmentOverhead = 24
)

// record is what a shard knows of an entry. It has no pointers, so that the garbage collector never
// looks at a million of them. All but refs is guarded by the shard's lock.
//
// The entry's block is one piece of a page: key text, encoded meta, and the body unless that is
// kept outside.
//
// INVARIANT: while refs is above zero, weight() bytes of the budget are taken for the entry. The
// table's reference counts inTable, that of each open hit one.
type record struct {
	hash         cirque.HashBinary // the combined one
	tag          cirque.Tag
	page, offset uint32 // of the block; noPage: the record is free

	identity, meta uint32 // lengths of the block's parts
	inline         uint32 // ditto; outside: the body is in shard.bodies

	refs atomic.Int32
}

// inTable is what the table's reference counts, so that the last hit to close sees whether the
// entry is still there.
const inTable = 1 << 30

// outside is the length of the inline part where the body is not inline.
const outside = 1<<32 - 1

func (r *record) blockSize() uint32 {
	if r.inline == outside {
		return r.identity + r.meta
	}
	return r.identity + r.meta + r.inline
}

// weight returns what is reserved for the entry without a body outside.
func (r *record) weight() int64 { return entryOverhead + int64(r.blockSize()) }

// recordsPerChunk records are one object, which never moves.
const recordsPerChunk = 64

// records are a shard's. Its methods are called with the shard's lock held.
type records struct {
	chunks []*[recordsPerChunk]record
	free   []uint32
}

func (s *records) at(i uint32) *record { return &s.chunks[i/recordsPerChunk][i%recordsPerChunk] }

// take returns the number of a free record.
func (s *records) take() uint32 {
	if len(s.free) == 0 {
		s.chunks = append(s.chunks, new([recordsPerChunk]record))
		for n := range uint32(recordsPerChunk) {
			s.free = append(s.free, uint32(len(s.chunks))*recordsPerChunk-1-n)
		}
	}
	last := len(s.free) - 1
	i := s.free[last]
	s.free = s.free[:last]
	return i
}

func (s *records) put(i uint32) {
	s.at(i).page = noPage
	s.free = append(s.free, i)
}

// body is a finished body outside of its entry's block.
//
// INVARIANT: while refs is above zero, charged bytes of the budget are taken for the body. The
// entry has one reference, and so has the write it came from while readers are attached to that.
type body struct {
	segments [][]byte // none empty
	size     int64
	charged  int64
	refs     atomic.Int32

	// held is the cache's sum of what an eviction would not free, of bodies in the table that
	// somebody reads. Nil: this body is too small to be counted.
	held *atomic.Int64
	// holds counts inTable while the entry is in the table, one while its record is open, and one
	// while readers of the write that it came from are.
	holds atomic.Int32
}

// heldMin is from which size on a body counts as held while it is read. It keeps hits on small
// ones, which are soon over, from a counter that all share.
const heldMin = 64 << 10

// hold says that somebody began to read the body. Called while its entry cannot leave the table.
func (b *body) hold() {
	if b != nil && b.held != nil && b.holds.Add(1) == inTable+1 {
		b.held.Add(b.charged)
	}
}

// letGo ends a hold.
func (b *body) letGo() {
	if b != nil && b.held != nil && b.holds.Add(-1) == inTable {
		b.held.Add(-b.charged)
	}
}

// enter and leave say that the entry is in the table now, or not any more.
func (b *body) enter() {
	if b.held != nil {
		b.holds.Add(inTable)
	}
}

func (b *body) leave() {
	if b.held != nil && b.holds.Add(-inTable) > 0 {
		b.held.Add(-b.charged)
	}
}

func (b *body) release(budget *cirque.Budget) {
	if b.refs.Add(-1) == 0 {
		budget.Release(b.charged)
	}
}

// text returns b, which must never change again, as a string.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// readBlockHeader returns the number of the record of the block at the start of b, and the block's
// length.
func readBlockHeader(b []byte) (record, n uint32) {
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
}
