package memcache

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/cirquecache/cirque/internal/offheap"
)

const (
	// A page of 64 KiB holds some forty entries of 1 KiB. A shard wastes half of its current page,
	// so a larger one would cost a small cache too much.
	maxPage = 64 << 10
	minPage = 2 << 10

	// A block larger than maxShared has a page of its own.
	maxShared = maxPage / 4

	// blockHeader is the size of what precedes a block: the number of its record and its length.
	blockHeader = 8

	noPage = math.MaxUint32
)

// page is memory that is given out as blocks, one after the other. It is read and written with the
// shard's lock held only, because it may be freed by whoever has the lock.
type page struct {
	buf  []byte // length: what was given out as blocks
	live int    // bytes of those that records use
}

// sparse reports whether more than an eighth of a page is unused, so that the rest should move.
// With this rule, seven bytes move for each byte that leaves. A stricter rule would move many more,
// a laxer rule would waste more.
func (p *page) sparse() bool { return p.live < len(p.buf)/8*7 }

// pages is the memory of one shard's blocks. Its methods are called with the shard's lock held.
//
// INVARIANT: of what was handed out of all pages but the current one, at least seven eighths are in
// use.
type pages struct {
	all     []page
	free    []uint32 // indexes of all that are not in use
	memory  *offheap.Memory
	current uint32 // what blocks are cut from; noPage: none yet
	live    int    // bytes in use, in all pages
}

// block returns the n bytes at offset, behind their header.
func (s *pages) block(page, offset, n uint32) []byte {
	return s.all[page].buf[offset+blockHeader:][:n:n]
}

// allocate returns an empty block with room for n bytes, for the record with that number. sealed is
// the page that was the current one until now, or noPage.
func (s *pages) allocate(record, n uint32) (block []byte, at, offset, sealed uint32) {
	sealed = noPage
	size := int(n) + blockHeader
	switch {
	case size > maxShared:
		at = s.add(size)
	case s.current == noPage || size > cap(s.all[s.current].buf)-len(s.all[s.current].buf):
		sealed = s.current
		s.current = s.add(max(size, s.pageSize()))
		at = s.current
	default:
		at = s.current
	}
	p := &s.all[at]
	offset = uint32(len(p.buf))
	p.buf = p.buf[:len(p.buf)+size]
	p.live += size
	s.live += size
	binary.LittleEndian.PutUint32(p.buf[offset:], record)
	binary.LittleEndian.PutUint32(p.buf[offset+4:], n)
	return s.block(at, offset, n)[:0], at, offset, sealed
}

// pageSize returns the size of the next page: a small shard has small ones, and the largest are for
// shards of which half of one, which is what the current page wastes, is less than what the ends of
// more pages would.
func (s *pages) pageSize() int {
	size := min(max(1<<bits.Len(uint(s.live)), minPage), maxPage)
	if s.live < 16*maxPage {
		return min(size, maxPage/2)
	}
	return size
}

// add returns the index of a new page.
func (s *pages) add(size int) uint32 {
	p := page{buf: s.memory.Alloc(size)}
	if last := len(s.free) - 1; last >= 0 {
		at := s.free[last]
		s.free = s.free[:last]
		s.all[at] = p
		return at
	}
	s.all = append(s.all, p)
	return uint32(len(s.all) - 1)
}

// release says that a block of n bytes is not in use any more.
func (s *pages) release(at, n uint32) {
	s.all[at].live -= int(n) + blockHeader
	s.live -= int(n) + blockHeader
	if s.all[at].live == 0 {
		s.drop(at)
	}
}

// drop frees a page.
func (s *pages) drop(at uint32) {
	s.memory.Free(s.all[at].buf)
	s.live -= s.all[at].live
	s.all[at] = page{}
	s.free = append(s.free, at)
	if s.current == at {
		s.current = noPage
	}
}
