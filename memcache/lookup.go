package memcache

import (
	"context"

	"github.com/cirquecache/cirque"
)

// lookup returns the write under way or the entry of key with that tag. If tag is zero, it returns
// the newest write that is not overtaken, else the entry in place.
func (s *shard) lookup(ctx context.Context, key *cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	var stack [256]byte
	identity := key.AppendIdentity(stack[:0])

	s.mu.RLock()
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if tag == 0 && w.overtaken || tag != 0 && w.tag != tag || !w.isFor(key) {
			continue
		}
		if h, err := w.newReader(ctx); err == nil {
			meta := w.meta
			s.mu.RUnlock()
			return meta, h, nil
		}
	}
	i, r := s.find(key, identity, tag)
	if r == nil {
		s.mu.RUnlock()
		return nil, nil, cirque.ErrNotFound
	}
	h, encoded := s.copy(i, r)
	s.mu.RUnlock()

	h.open(encoded)
	return &h.meta, h, nil
}

// copy returns a hit on the entry, and a copy of its encoded meta. The caller must open the hit
// with that, without the lock. Called with mu held for reading.
func (s *shard) copy(i uint32, r *record) (h *hit, encoded []byte) {
	stored := s.block(r)[r.identity:]
	h, encoded = newHit(int(r.meta))
	copy(encoded, stored)
	h.tag, h.weight = r.tag, r.weight()
	switch r.inline {
	case 0:
	case outside:
		h.body = s.bodies[i]
		h.body.hold()
		h.size = h.body.size
		h.weight += h.body.charged
	default:
		h.inline = inlineBuffers.Get().(*inlineBuffer)
		h.size = int64(copy(h.inline[:], stored[r.meta:]))
	}
	return h, encoded
}
