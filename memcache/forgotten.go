package memcache

import (
	"log/slog"
	"sync"
	"sync/atomic"
)

// forgotten counts the hits that were not closed.
type forgotten struct {
	logger *slog.Logger // nil: slog.Default()
	count  atomic.Int64
	once   sync.Once
}

// report counts one, and logs the first.
func (f *forgotten) report() {
	f.count.Add(1)
	f.once.Do(func() {
		logger := f.logger
		if logger == nil {
			logger = slog.Default()
		}
		logger.Error("memcache: a hit was not closed: its memory was in use until the garbage collector found it")
	})
}
