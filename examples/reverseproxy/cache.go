package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/cirquecache/cirque/middleware"
)

// newCache builds the cache. Its Storage is the default one, in memory.
func newCache(o *options, logger *slog.Logger) (*middleware.Cache, error) {
	return middleware.New(middleware.Config{
		MaxBytes:       int64(o.memory),
		MaxObjectBytes: int64(o.maxObject),
		LockWait:       o.lockTimeout,
		EvictionPolicy: o.eviction,
		AuthorizePurge: mayPurge,
		Logger:         logger,
	})
}

// limitGarbage makes the collector work harder before the process grows past about twice the cache. That is
// where it would usually stop by itself; a burst of requests could carry it further. The soft limit leaves room
// for the connections, and a GOMEMLIMIT in the environment stands.
func limitGarbage(memory size) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(memory)/4*9 + 48<<20)
	}
}
