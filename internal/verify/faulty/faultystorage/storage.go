package faultystorage

import (
	"context"

	"github.com/cirquecache/cirque"
)

type storage struct {
	base  cirque.Storage
	tally *Tally
}

func (s *storage) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if _, err := s.tally.strike(ctx, Lookup); err != nil {
		return nil, nil, err
	}
	meta, hit, err := s.base.Lookup(ctx, key)
	return meta, s.tally.wrapHit(ctx, hit, key), err
}

func (s *storage) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	if _, err := s.tally.strike(ctx, MissHandler); err != nil {
		return nil, err
	}
	miss, err := s.base.MissHandler(ctx, key, meta, opts)
	if err != nil {
		return nil, err
	}
	return s.tally.wrapMiss(ctx, miss, key), nil
}

func (s *storage) Purge(ctx context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	if _, err := s.tally.strike(ctx, Purge); err != nil {
		return err
	}
	return s.base.Purge(ctx, key, typ)
}

// Purges returns the PurgeState of the wrapped Storage. It has no faults.
func (s *storage) Purges() *cirque.PurgeState { return s.base.Purges() }

func (s *storage) UpdateMeta(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	if _, err := s.tally.strike(ctx, UpdateMeta); err != nil {
		return err
	}
	return s.base.UpdateMeta(ctx, key, meta, tag)
}

type streamingStorage struct {
	*storage
	streaming cirque.StreamingStorage
}

func (s *streamingStorage) LookupStreaming(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if _, err := s.tally.strike(ctx, LookupStreaming); err != nil {
		return nil, nil, err
	}
	meta, hit, err := s.streaming.LookupStreaming(ctx, key, tag)
	return meta, s.tally.wrapHit(ctx, hit, key), err
}
