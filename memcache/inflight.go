package memcache

import "github.com/cirquecache/cirque"

// begin adds w to the writes under way, as the newest for its key.
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

// void voids the writes under way for key. If key is a primary key, it also voids those of its
// variants. It reports whether one of them was linked. Called with mu held.
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

// overtake marks the writes under way for key as older than the entry that is in place now. Called
// with mu held.
func (s *shard) overtake(key *cirque.CacheKey) {
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if w.key.Combined() == key.Combined() {
			w.overtaken = true
		}
	}
}

// isFor reports whether w writes the entry of key. It compares the text of the keys.
func (w *write) isFor(key *cirque.CacheKey) bool {
	return w.key.Combined() == key.Combined() && w.key.Primary() == key.Primary() &&
		w.key.Namespace() == key.Namespace() && w.key.Variance() == key.Variance()
}
