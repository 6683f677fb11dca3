package conformancetest

import (
	"strings"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

// lock is a CacheKeyLock that records which requests had to wait.
type lock struct {
	cirque.CacheKeyLock

	mu      sync.Mutex
	waiting []string // primary keys
}

func newLock() *lock {
	return &lock{CacheKeyLock: cirque.NewCacheLock(0)}
}

// Lock implements cirque.CacheKeyLock.
func (l *lock) Lock(key cirque.CacheKey, staleWriter bool) (*cirque.WritePermit, *cirque.ReadLock) {
	write, read := l.CacheKeyLock.Lock(key, staleWriter)
	if read != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waiting = append(l.waiting, key.Primary())
	}
	return write, read
}

// Held implements inspect.ObservableLock.
func (l *lock) Held(key cirque.CacheKey) (held, staleWriter bool) {
	return l.CacheKeyLock.(inspect.ObservableLock).Held(key)
}

// Waiting implements conformance.Subject.
func (l *lock) Waiting(path string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, key := range l.waiting {
		if strings.Contains(key, path) {
			n++
		}
	}
	return n
}
