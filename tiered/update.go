package tiered

import (
	"context"
	"errors"

	"github.com/cirquecache/cirque"
)

// Purge implements [cirque.Storage].
func (t *tier) Purge(ctx context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s := t.stripe(key.Primary)
	if typ != cirque.PurgeEviction {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	s.changes.Add(1)
	err := t.lower.Purge(ctx, key, typ)
	upperErr := t.upper.Purge(ctx, key, typ)
	if t.config.UpperEviction != nil {
		t.config.UpperEviction.Remove(key)
	}
	switch {
	case errors.Is(err, cirque.ErrNotFound):
		return upperErr
	case err == nil && !errors.Is(upperErr, cirque.ErrNotFound):
		return upperErr // lookups would find the copy in the upper Storage
	}
	return err
}

// UpdateMeta implements [cirque.Storage]. It succeeds if at least one Storage has the new meta, and
// none has the old one.
func (t *tier) UpdateMeta(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	s := t.stripe(key.PrimaryHash())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	err := t.lower.UpdateMeta(ctx, key, meta, tag)
	upperErr := t.updateUpper(ctx, s, key, meta, tag)
	switch {
	case err == nil && upperErr != nil && !errors.Is(upperErr, cirque.ErrNotFound):
		t.dropUpper(ctx, key.Compact())
	case errors.Is(err, cirque.ErrNotFound):
		return upperErr
	}
	return err
}

// updateUpper replaces the meta in the upper Storage of the write or entry with this tag.
func (t *tier) updateUpper(ctx context.Context, s *stripe, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	if upperTag := s.upperTag(tag); upperTag != 0 {
		return t.upper.UpdateMeta(ctx, key, meta, upperTag)
	}
	if err := t.upper.UpdateMeta(ctx, key, meta, tag^t.mask); !errors.Is(err, cirque.ErrNotFound) {
		return err
	}
	_, hit, err := t.lookupUpper(ctx, key)
	if err != nil {
		return err
	}
	defer hit.Close()
	switch {
	case hit.Tag() == tag:
		return t.upper.UpdateMeta(ctx, key, meta, hit.HitHandler.Tag())
	case hit.underWay():
		// The write under way may hide the copy.
		t.dropUpper(ctx, key.Compact())
	}
	return cirque.ErrNotFound
}

// upperTag returns the tag in the upper Storage of the write under way with this tag, or zero.
func (s *stripe) upperTag(tag cirque.Tag) cirque.Tag {
	if s.active.Load() == 0 {
		return 0
	}
	s.writesMu.Lock()
	defer s.writesMu.Unlock()
	for _, w := range s.writes {
		if w.Tag() == tag {
			return w.upperTag
		}
	}
	return 0
}
