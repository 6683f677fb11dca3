package memcache

import (
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/offheap"
)

// shard is one part of the table, chosen by primary hash. mu guards all its fields.
type shard struct {
	mu sync.RWMutex

	index   index
	records records
	pages   pages
	bodies  map[uint32]*body // the ones outside of blocks, by number of the record

	// writes has the writes under way by primary hash, the newest first. Voided writes are not in
	// it. Unlinked writes are, but refuse readers.
	writes map[cirque.HashBinary]*write

	budget *account
	placed int64 // what the entries in the table weigh
}

func (s *shard) init(budget *account, memory *offheap.Memory) {
	s.bodies = make(map[uint32]*body)
	s.writes = make(map[cirque.HashBinary]*write)
	s.pages.current = noPage
	s.index.memory, s.records.memory, s.pages.memory = memory, memory, memory
	s.budget = budget
}

// find returns the entry of key if it has that tag, or any tag if tag is zero. identity is the text
// of key. Called with mu held for reading.
func (s *shard) find(key *cirque.CacheKey, identity []byte, tag cirque.Tag) (i uint32, r *record) {
	combined := key.Combined()
	r, i = s.index.find(&combined, &s.records)
	if r == nil || tag != 0 && r.tag != tag || string(s.identity(r)) != string(identity) {
		return 0, nil
	}
	return i, r
}

// inPlace reports whether the entry with that combined hash has this tag. Called with mu held for
// reading.
func (s *shard) inPlace(combined cirque.HashBinary, tag cirque.Tag) bool {
	r, _ := s.index.find(&combined, &s.records)
	return r != nil && r.tag == tag
}

// charge returns what the entry of r weighs, with its body. Called with mu held.
func (s *shard) charge(i uint32, r *record) int64 {
	if r.inline == outside {
		return r.weight() + s.bodies[i].charged
	}
	return r.weight()
}

// block returns the block of r: key text, meta and inline body.
func (s *shard) block(r *record) []byte    { return s.pages.block(r.page, r.offset, r.blockSize()) }
func (s *shard) identity(r *record) []byte { return s.block(r)[:r.identity] }
func (s *shard) inline(r *record) []byte   { return s.block(r)[r.identity+r.meta:] }

// insert stores an entry under key. Its body is b or, if b is nil, the inline bytes that
// appendInline appends. The table takes over the bytes reserved for the entry, and has a reference
// to b. Called with mu held.
func (s *shard) insert(key *cirque.CacheKey, identity []byte, meta *cirque.CacheMeta, tag cirque.Tag, b *body, inline int, appendInline func([]byte) []byte) {
	i := s.records.take()
	r := s.records.at(i)
	r.hash, r.tag, r.identity, r.meta, r.inline = key.Combined(), tag, uint32(len(identity)), uint32(meta.MetaSize()), uint32(inline)
	if b != nil {
		r.inline = outside
		s.bodies[i] = b
		b.enter()
	}
	s.placed += s.charge(i, r)
	block, sealed := s.place(i, r)
	block, _ = meta.AppendBinary(append(block, identity...)) // never fails
	if b == nil {
		appendInline(block)
	}
	s.remove(key.Combined())
	s.index.insert(i, &s.records)
	s.tidy(sealed)
}

// place finds room for the block of r, which the caller must append to the slice. If this has
// sealed a page, which is never that of the block, the caller must tidy it, once the block is
// written and nothing of another block is needed any more.
func (s *shard) place(i uint32, r *record) (block []byte, sealed uint32) {
	block, r.page, r.offset, sealed = s.pages.allocate(i, r.blockSize())
	return block, sealed
}

// update gives r another meta, in a new block. Called with mu held.
func (s *shard) update(i uint32, r *record, meta *cirque.CacheMeta) {
	identity, inline := s.identity(r), s.inline(r)
	page, size := r.page, r.blockSize()
	s.placed += int64(meta.MetaSize()) - int64(r.meta)
	r.meta = uint32(meta.MetaSize())
	block, sealed := s.place(i, r)
	block, _ = meta.AppendBinary(append(block, identity...)) // never fails
	_ = append(block, inline...)
	s.pages.release(page, size)
	s.tidy(page)
	s.tidy(sealed)
}

// tidy moves the blocks in use out of a sparse page and frees it. The current page stays as it is
// until it is sealed. Called with mu held.
func (s *shard) tidy(at uint32) {
	if at == noPage || at == s.pages.current || !s.pages.all[at].sparse() {
		return
	}
	buf := s.pages.all[at].buf
	for offset := uint32(0); offset < uint32(len(buf)); {
		i, n := readBlockHeader(buf[offset:])
		if r := s.records.at(i); r.page == at && r.offset == offset {
			block, sealed := s.place(i, r)
			_ = append(block, buf[offset+blockHeader:][:n]...)
			s.tidy(sealed)
		}
		offset += blockHeader + n
	}
	s.pages.drop(at)
}

// remove takes the entry with that combined hash out of the table and reports whether there was
// one. Called with mu held.
func (s *shard) remove(combined cirque.HashBinary) bool {
	r, i := s.index.remove(&combined, &s.records)
	if r == nil {
		return false
	}
	s.placed -= s.charge(i, r)
	s.budget.Release(r.weight())
	if r.inline == outside {
		s.bodies[i].leave()
		delete(s.bodies, i)
	}
	page := r.page
	s.pages.release(page, r.blockSize())
	s.records.put(i)
	s.tidy(page)
	return true
}
