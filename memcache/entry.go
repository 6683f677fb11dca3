package memcache

import (
	"encoding/binary"
	"sync/atomic"
	"unsafe"

	"github.com/cirquecache/cirque"
)

const (
	// inlineMax is the largest body that lies in the block of its entry.
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
// scans a million of them. The shard's lock guards all but refs.
//
// The block of an entry is one piece of a page: key text, encoded meta, and the body if that is
// inline.
//
// INVARIANT: while refs is above zero, weight() bytes of the budget are reserved for the entry. The
// reference of the table counts inTable, that of each open hit one.
type record struct {
	hash         cirque.HashBinary // the combined one
	tag          cirque.Tag
	page, offset uint32 // of the block; noPage: the record is free

	identity, meta uint32 // lengths of the first two parts of the block
	inline         uint32 // length of the third; outside: the body is in shard.bodies

	refs atomic.Int32
}

// inTable is the count of the table's reference. It lets the last hit to close see whether the
// entry is still in the table.
const inTable = 1 << 30

// outside is the length of the inline part of a body that is not inline.
const outside = 1<<32 - 1

func (r *record) blockSize() uint32 {
	if r.inline == outside {
		return r.identity + r.meta
	}
	return r.identity + r.meta + r.inline
}

// weight returns the bytes reserved for the entry without a body outside.
func (r *record) weight() int64 { return entryOverhead + int64(r.blockSize()) }

// recordsPerChunk records are one object, which never moves.
const recordsPerChunk = 64

// records are those of a shard. Its methods are called with the shard's lock held.
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

// body is a finished body outside of the block of its entry.
//
// INVARIANT: while refs is above zero, charged bytes of the budget are reserved for the body. The
// entry has one reference. The write that the body came from has another while readers are attached
// to it.
type body struct {
	segments [][]byte // none is empty
	size     int64
	charged  int64
	refs     atomic.Int32

	// held points to MemCache.held. Nil: the body is too small to be counted there.
	held *atomic.Int64
	// holds counts inTable while the entry is in the table, one while its record is open, and one
	// while readers of the write that it came from are attached.
	holds atomic.Int32
}

// heldMin is the least size of a body that counts as held while it is read. A hit on a smaller one
// is soon over, and need not change a counter that all hits share.
const heldMin = 64 << 10

// hold says that somebody has begun to read the body. The entry must not leave the table during the
// call.
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

// enter says that the entry is in the table now.
func (b *body) enter() {
	if b.held != nil {
		b.holds.Add(inTable)
	}
}

// leave says that the entry is no longer in the table.
func (b *body) leave() {
	if b.held != nil && b.holds.Add(-inTable) > 0 {
		b.held.Add(-b.charged)
	}
}

// release gives up one reference.
func (b *body) release(budget *account) {
	if b.refs.Add(-1) == 0 {
		budget.Release(b.charged)
	}
}

// text returns b as a string. b must never change again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// readBlockHeader reads the header of the block at the start of b: the number of its record, and
// its length.
func readBlockHeader(b []byte) (record, n uint32) {
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
}
