package memcache

import (
	"sync"

	"github.com/cirquecache/cirque"
)

// shard is one part of the table, chosen by primary hash.
type shard struct {
	mu sync.RWMutex

	// entries by combined hash. The table owns one reference to each.
	entries map[cirque.HashBinary]*entry

	// writes under way by primary hash, the newest first. Voided ones are not among them any more, unlinked
	// ones refuse readers.
	writes map[cirque.HashBinary]*write

	_ [24]byte // a cache line for each shard
}

// hold returns key's entry, if it has that tag, with a reference taken.
func (s *shard) hold(key cirque.CacheKey, tag cirque.Tag) *entry {
	var stack [256]byte
	identity := key.AppendIdentity(stack[:0])
	s.mu.RLock()
	defer s.mu.RUnlock()
	e := s.entries[key.Combined()]
	if e == nil || e.tag != tag || e.identity() != string(identity) {
		return nil
	}
	e.refs.Add(1)
	return e
}

// replace puts e in the place of the entry with that tag and returns that one, or nil if it is gone.
func (s *shard) replace(combined cirque.HashBinary, tag cirque.Tag, e *entry) *entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.entries[combined]
	if old == nil || old.tag != tag {
		return nil
	}
	s.entries[combined] = e
	return old
}

// begin lists w as the newest write for its key.
func (s *shard) begin(w *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	primary := w.key.PrimaryHash()
	w.next = s.writes[primary]
	s.writes[primary] = w
}

// unlist takes w off the writes under way, if it is among them. Called with mu held.
func (s *shard) unlist(w *write) {
	primary := w.key.PrimaryHash()
	first := s.writes[primary]
	for at := &first; *at != nil; at = &(*at).next {
		if *at == w {
			*at, w.next = w.next, nil
			break
		}
	}
	if first == nil {
		delete(s.writes, primary)
	} else {
		s.writes[primary] = first
	}
}

// void voids the writes under way for key and, if it names the primary slot, for its variants. It reports
// whether a linked one was among them. Called with mu held.
func (s *shard) void(key cirque.CompactCacheKey) (linked bool) {
	for w := s.writes[key.Primary]; w != nil; {
		next := w.next
		if key.IsPrimary() || w.key.Variance() == key.Variance {
			w.voided = true
			linked = linked || !w.buffer.Unlinked()
			s.unlist(w)
		}
		w = next
	}
	return linked
}

// commit puts e, which w has written with meta, in the place of its key and returns what was there. It returns
// ErrNotFound if w was voided or the entry it was to replace is no longer there.
func (s *shard) commit(w *write, e *entry, meta *cirque.CacheMeta) (old *entry, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	combined := w.key.Combined()
	old = s.entries[combined]
	switch {
	case w.voided, w.opts.Replaces != 0 && (old == nil || old.tag != w.opts.Replaces):
		return nil, cirque.ErrNotFound
	case w.meta != meta:
		return nil, errMetaChanged
	}
	s.entries[combined] = e
	s.unlist(w)
	for other := s.writes[w.key.PrimaryHash()]; other != nil; other = other.next {
		if other.key.Combined() == combined {
			other.overtaken = true
		}
	}
	return old, nil
}

// linked returns the linked write under way for key with that tag, or nil. Called with mu held.
func (s *shard) linked(key *cirque.CacheKey, tag cirque.Tag) *write {
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if w.tag == tag && w.isFor(key) && !w.buffer.Unlinked() {
			return w
		}
	}
	return nil
}
