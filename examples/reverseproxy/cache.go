package main

import (
	"log/slog"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// newCache builds the cache: in memory, on disk, or on disk with memory in front. The caller must
// call closeStore after the last use of the cache.
func newCache(o *options, logger *slog.Logger) (cache *middleware.Cache, closeStore func() error, err error) {
	cfg := middleware.Config{
		MaxBytes:       int64(o.memory),
		MaxObjectBytes: int64(o.maxObject),
		LockWait:       o.lockTimeout,
		AuthorizePurge: mayPurge,
		Logger:         logger,

		StaleIfError:         o.staleError,
		StaleWhileRevalidate: o.staleUpdate,
	}
	if o.public != nil {
		cfg.PublicOrigin = o.public.String()
	}
	if o.disk == "" {
		cfg.EvictionPolicy = o.eviction
		cache, err = middleware.New(cfg)
		return cache, func() error { return nil }, err
	}
	manager, err := eviction.New(o.eviction, int64(o.diskSize))
	if err != nil {
		return nil, nil, err
	}
	disk, err := diskcache.Open(o.disk, &diskcache.Config{
		MaxBytes: int64(o.diskSize),
		Eviction: manager,
		OnHealth: func(err error) {
			if err != nil {
				logger.Error("the disk fails, the cache continues without it", "err", err)
			} else {
				logger.Info("the disk works again")
			}
		},
	})
	if err != nil {
		return nil, nil, err
	}
	cfg.Storage, cfg.Eviction = disk, manager
	if o.memoryToo {
		if cfg.Storage, err = inFront(disk, int64(o.memory), o.eviction); err != nil {
			_ = disk.Close()
			return nil, nil, err
		}
	}
	if cache, err = middleware.New(cfg); err != nil {
		_ = disk.Close()
		return nil, nil, err
	}
	return cache, disk.Close, nil
}

// inFront puts memory of limit bytes in front of disk.
func inFront(disk cirque.Storage, limit int64, policy string) (cirque.Storage, error) {
	manager, err := eviction.New(policy, limit)
	if err != nil {
		return nil, err
	}
	budget := cirque.NewBudget(limit)
	memory := memcache.New(memcache.Config{Budget: budget})
	budget.EvictWith(manager, memory)
	return tiered.New(memory, disk, tiered.Config{UpperEviction: manager}), nil
}
