package memcache

import (
	"encoding/binary"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/offheap"
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
// scans a million of them. The shard's lock guards it.
//
// The block of an entry is one piece of a page: key text, encoded meta, and the body if that is
// inline.
//
// INVARIANT: while a record is in the index, weight() bytes of the budget are reserved for it.
type record struct {
	hash         cirque.HashBinary // the combined one
	tag          cirque.Tag
	page, offset uint32 // of the block; noPage: the record is free

	identity, meta uint32 // lengths of the first two parts of the block
	inline         uint32 // length of the third; outside: the body is in shard.bodies
}

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

// recordsPerChunk records are one allocation, which never moves. It is large enough to be outside
// of the heap.
const recordsPerChunk = 128

// records are those of a shard. Its methods are called with the shard's lock held.
type records struct {
	memory *offheap.Memory
	chunks []*[recordsPerChunk]record
	free   []uint32
}

func (s *records) at(i uint32) *record { return &s.chunks[i/recordsPerChunk][i%recordsPerChunk] }

// take returns the number of a free record.
func (s *records) take() uint32 {
	if len(s.free) == 0 {
		chunk := recordsIn(s.memory.Alloc(chunkSize)[:chunkSize])
		s.chunks = append(s.chunks, chunk)
		for n := range uint32(recordsPerChunk) {
			chunk[n].page = noPage
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

// readBlockHeader reads the header of the block at the start of b: the number of its record, and
// its length.
func readBlockHeader(b []byte) (record, n uint32) {
	return binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
}
