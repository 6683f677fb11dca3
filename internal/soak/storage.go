package main

import (
	"errors"
	"os"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// storages open the kinds of storage that -storage names, within cfg.MaxBytes, and set them in cfg. The function that they
// return, if it is not nil, closes it.
var storages = map[string]func(cfg *middleware.Config) (closer func() error, err error){
	"memory": func(*middleware.Config) (func() error, error) { return nil, nil }, // the default
	"disk": func(cfg *middleware.Config) (func() error, error) {
		disk, closer, err := openDisk(cfg.MaxBytes)
		if err != nil {
			return nil, err
		}
		cfg.Storage, cfg.Eviction = disk, disk.Eviction()
		return closer, nil
	},
	"tiered": func(cfg *middleware.Config) (func() error, error) {
		disk, closer, err := openDisk(cfg.MaxBytes)
		if err != nil {
			return nil, err
		}
		limit := cfg.MaxBytes / 4
		manager, err := eviction.New("", limit)
		if err != nil {
			return nil, errors.Join(err, closer())
		}
		budget := cirque.NewBudget(limit)
		memory := memcache.New(memcache.Config{Budget: budget})
		budget.EvictWith(manager, memory)
		cfg.Storage = tiered.New(memory, disk, tiered.Config{UpperEviction: manager, MaxUpperBytes: 64 << 10})
		cfg.Eviction = disk.Eviction()
		return closer, nil
	},
}

// openDisk opens a store in a directory of its own, which closer removes.
func openDisk(limit int64) (disk *diskcache.Store, closer func() error, err error) {
	dir, err := os.MkdirTemp("", "cirque-soak-")
	if err != nil {
		return nil, nil, err
	}
	disk, err = diskcache.Open(dir, &diskcache.Config{MaxBytes: limit})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return disk, func() error { return errors.Join(disk.Close(), os.RemoveAll(dir)) }, nil
}
