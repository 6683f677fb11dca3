package history

import (
	"context"
	"sync"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/storagetest"
)

// plain is a Storage without optional interfaces. Its Lookup does not show writes in flight: while
// a write for a key is under way, Lookup goes on finding the complete entry of that key.
type plain struct {
	cirque.Storage

	mu   sync.Mutex
	last map[cirque.CompactCacheKey]cirque.Tag // by key: the write that was finished last
}

func newPlain(store *memcache.MemCache) *plain {
	return &plain{Storage: store, last: make(map[cirque.CompactCacheKey]cirque.Tag)}
}

// Lookup implements cirque.Storage.
func (p *plain) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	meta, hit, err := p.Storage.Lookup(ctx, key)
	if err != nil || hit.CountsAccess() {
		return meta, hit, err
	}
	_ = hit.Close() // on a write in flight
	return p.Storage.(cirque.StreamingStorage).LookupStreaming(ctx, key, p.last[key.Compact()])
}

// MissHandler implements cirque.Storage.
func (p *plain) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := p.Storage.MissHandler(ctx, key, meta, opts)
	if err != nil {
		return nil, err
	}
	return &plainWrite{MissHandler: w, store: p, key: key.Compact()}, nil
}

// UpdateMeta implements cirque.Storage. It updates complete entries only.
func (p *plain) UpdateMeta(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if tag != p.last[key.Compact()] {
		return cirque.ErrNotFound
	}
	return p.Storage.UpdateMeta(ctx, key, meta, tag)
}

// plainWrite is a write of plain.
type plainWrite struct {
	cirque.MissHandler
	store *plain
	key   cirque.CompactCacheKey
}

// Finish implements cirque.MissHandler. It holds the mutex, so that Lookup never misses an entry
// between its completion and the update of last.
func (w *plainWrite) Finish() (cirque.MissFinish, error) {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	done, err := w.MissHandler.Finish()
	if err == nil {
		w.store.last[w.key] = w.Tag()
	}
	return done, err
}

func TestPlainKeepsTheRulesOfStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage {
		return newPlain(memcache.New(memcache.Config{}))
	}, storagetest.Features{Seeking: true})
}
