package main

import (
	"errors"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// storages maps the values of -storage to functions that open a Storage within cfg.MaxBytes and set
// it in cfg. Durable ones keep their files in dir. The returned function closes the Storage.
var storages = map[string]func(cfg *middleware.Config, dir string) (closer func() error, err error){
	"memory": func(cfg *middleware.Config, _ string) (func() error, error) {
		memory, manager, err := openMemory(cfg.MaxBytes)
		if err != nil {
			return nil, err
		}
		cfg.Storage, cfg.Eviction = memory, manager
		return func() error { return nil }, nil
	},
	"disk": func(cfg *middleware.Config, dir string) (func() error, error) {
		disk, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: cfg.MaxBytes})
		if err != nil {
			return nil, err
		}
		cfg.Storage, cfg.Eviction = disk, disk.Eviction()
		return disk.Close, nil
	},
	"tiered": func(cfg *middleware.Config, dir string) (func() error, error) {
		disk, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: cfg.MaxBytes})
		if err != nil {
			return nil, err
		}
		memory, manager, err := openMemory(cfg.MaxBytes / 4)
		if err != nil {
			return nil, errors.Join(err, disk.Close())
		}
		cfg.Storage = tiered.New(memory, disk, tiered.Config{UpperEviction: manager, MaxUpperBytes: 64 << 10})
		cfg.Eviction = disk.Eviction()
		return disk.Close, nil
	},
}

func openMemory(limit int64) (cirque.Storage, cirque.EvictionManager, error) {
	manager, err := eviction.New(eviction.Default, limit)
	if err != nil {
		return nil, nil, err
	}
	budget := cirque.NewBudget(limit)
	memory := memcache.New(memcache.Config{Budget: budget})
	budget.EvictWith(manager, memory)
	return memory, manager, nil
}
