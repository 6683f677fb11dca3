package memcache

import (
	"sync"

	"github.com/cirquecache/cirque"
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

func (s *shard) init(budget *account) {
	s.bodies = make(map[uint32]*body)
	s.writes = make(map[cirque.HashBinary]*write)
	s.pages.current = noPage
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
// appendInline appends. The table takes over a reference to b and the bytes reserved for the entry.
// Called with mu held.
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
	r.refs.Store(inTable)
	block := append(s.place(i, r), identity...)
	block, _ = meta.AppendBinary(block) // never fails
	if b == nil {
		appendInline(block)
	}
	s.remove(key.Combined())
	s.index.insert(i, &s.records)
}

// place finds room for the block of r, which the caller must append to the slice. This may seal a
// page, which is never the page of the block.
func (s *shard) place(i uint32, r *record) []byte {
	block, page, offset, sealed := s.pages.allocate(i, r.blockSize())
	r.page, r.offset = page, offset
	if sealed != noPage {
		s.tidy(sealed)
	}
	return block
}

// update gives r another meta, in a new block. Called with mu held.
func (s *shard) update(i uint32, r *record, meta *cirque.CacheMeta) {
	identity, inline := s.identity(r), s.inline(r)
	page := r.page
	s.pages.release(page, r.blockSize())
	s.placed += int64(meta.MetaSize()) - int64(r.meta)
	r.meta = uint32(meta.MetaSize())
	block := append(s.place(i, r), identity...)
	block, _ = meta.AppendBinary(block) // never fails
	_ = append(block, inline...)
	s.tidy(page)
}

// tidy moves the blocks in use out of a sparse page. Readers go on with the old bytes. The current
// page stays as it is until it is sealed. A page that is sealed by tidy itself is not sparse: it is
// full of blocks that were just placed, of which some are not written yet. Called with mu held.
func (s *shard) tidy(at uint32) {
	p := s.pages.all[at]
	if at == s.pages.current || !p.sparse() {
		return
	}
	for offset := uint32(0); offset < uint32(len(p.buf)); {
		i, n := readBlockHeader(p.buf[offset:])
		if r := s.records.at(i); r.page == at && r.offset == offset {
			_ = append(s.place(i, r), s.pages.block(at, offset, n)...)
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
	if r.inline == outside {
		s.bodies[i].leave()
	}
	if r.refs.Add(-inTable) == 0 {
		s.erase(i, r)
	}
	return true
}

// erase frees a record without references. Called with mu held.
func (s *shard) erase(i uint32, r *record) {
	s.budget.Release(r.weight())
	if r.inline == outside {
		s.bodies[i].release(s.budget)
		delete(s.bodies, i)
	}
	page := r.page
	s.pages.release(page, r.blockSize())
	s.records.put(i)
	s.tidy(page)
}

// stored is an entry as it was when a hit opened it. It does not change with the record.
type stored struct {
	number uint32
	record *record
	tag    cirque.Tag
	weight int64
	meta   string
	inline string
	body   *body // nil: the body is inline
}

// open returns the entry with a reference. Called with mu held for reading.
func (s *shard) open(i uint32, r *record) stored {
	first := r.refs.Add(1) == inTable+1
	block := text(s.block(r))
	e := stored{number: i, record: r, tag: r.tag, weight: r.weight(), meta: block[r.identity:][:r.meta]}
	if r.inline == outside {
		e.body = s.bodies[i]
		e.weight += e.body.charged
		if first {
			e.body.hold()
		}
	} else {
		e.inline = block[r.identity+r.meta:]
	}
	return e
}

// close gives up the reference that open took.
func (s *shard) close(e *stored) {
	switch e.record.refs.Add(-1) {
	case inTable:
		e.body.letGo()
	case 0: // the entry is out of the table, so there will be no other hit
		e.body.letGo()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.erase(e.number, e.record)
	}
}
