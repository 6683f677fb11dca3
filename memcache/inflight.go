package memcache

import "github.com/cirquecache/cirque"

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

// void voids the writes under way for key and, if it names the primary slot, for its variants. It
// reports whether a linked one was among them. Called with mu held.
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

// linked returns the linked write under way for key with that tag, or nil. Called with mu held for
// reading.
func (s *shard) linked(key *cirque.CacheKey, tag cirque.Tag) *write {
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if w.tag == tag && w.isFor(key) && !w.buffer.Unlinked() {
			return w
		}
	}
	return nil
}

// overtake notes that the writes under way for key are older than what is in place now. Called with
// mu held.
func (s *shard) overtake(key *cirque.CacheKey) {
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if w.key.Combined() == key.Combined() {
			w.overtaken = true
		}
	}
}
