package main

import (
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/cirquecache/cirque/middleware"
)

const (
	// perConnection is the heap that a connection may take: its buffers, stack and request, doubled
	// by the garbage collector.
	perConnection = 48 << 10

	// limitStep is after how many connections the limit is set again.
	limitStep = 256

	// garbagePercent is how much garbage the heap may have before it is collected, as a share of
	// what is live. The heap of a cache in memory is small, so with the default of 100 it would be
	// collected twice as often. The limit makes more garbage safe.
	garbagePercent = 200
)

// heapLimit keeps the heap of the process in proportion to its cache and its connections.
// GOMEMLIMIT and GOGC in the environment take precedence.
type heapLimit struct {
	cache       *middleware.Cache
	connections atomic.Int64
	set         func(bytes int64)
}

func newHeapLimit(cache *middleware.Cache) *heapLimit {
	l := &heapLimit{cache: cache, set: func(bytes int64) { debug.SetMemoryLimit(bytes) }}
	if os.Getenv("GOMEMLIMIT") != "" {
		l.set = func(int64) {}
		return l
	}
	l.update(0)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	return l
}

func (l *heapLimit) update(connections int64) {
	l.set(middleware.SoftMemoryLimit(l.cache) + (connections+limitStep)*perConnection)
}

// connState is the server's: it counts the connections.
func (l *heapLimit) connState(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if n := l.connections.Add(1); n%limitStep == 0 {
			l.update(n)
		}
	case http.StateClosed, http.StateHijacked:
		if n := l.connections.Add(-1); n%limitStep == 0 {
			l.update(n)
		}
	}
}
