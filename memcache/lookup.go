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
	e := s.open(i, r)
	s.mu.RUnlock()

	h := newHit(s, e)
	return &h.meta, h, nil
}
