// Package memcache is the in-memory Storage: a sharded table of entries whose bytes never change,
// and writes that any number of readers can follow while they are under way.
//
// # Memory
//
// Key text, meta and bodies up to 4 KiB lie one after the other in pages. A larger body is a few
// segments. These and the table are outside of the Go heap where the system has anonymous mappings
// (Linux), because the garbage collector lets a heap double before it collects.
//
// A hit copies the header, and a body of up to 4 KiB, so nothing refers to a page outside of its
// shard's lock. A larger body is counted: its segments are freed when it is out of the table and
// the last hit on it is closed. Whoever gets its bytes from an io.WriterTo must not keep them, as
// io.Writer says. A hit that is not closed is found by the garbage collector, reported, and gives
// back what it held. The build tag cirque_check makes every use of freed memory a fault.
//
// Everything is reserved from the Budget before it is allocated: the segments of writes under way,
// and entries until they are out of the table and their last reader has closed. Not counted are:
//
//   - released blocks in pages that are still in use, at most an eighth of these pages;
//   - one page of at most 64 KiB for each of 256 shards;
//   - the table itself, which does not shrink when entries leave;
//   - free memory kept for later: 4 MiB, or a 32nd of what is in use if that is more;
//   - the copies that open hits have of headers and small bodies.
//
// # Locking
//
// A shard holds all that concerns one primary key: its entry, those of its variants, and the writes
// under way for them. Its lock is held for table operations only, never while memory is reserved: a
// reservation may evict, which calls Purge. Lock order: shard, then stream.Buffer.
package memcache

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/metric"
	"github.com/cirquecache/cirque/internal/offheap"
	"github.com/cirquecache/cirque/internal/stream"
	"github.com/cirquecache/cirque/stats"
)

// Config configures a MemCache. The zero Config is a cache without limit: give it a Budget.
type Config struct {
	// Budget limits the memory. New sets its Medium. Other users of memory may share it. Without a
	// call of its EvictWith with the MemCache and an EvictionManager, it can refuse but not evict.
	// Nil: no limit.
	Budget *cirque.Budget

	// Window is how many bytes of its body an unlinked write keeps for its readers. Zero or less:
	// 64 KiB. The least is 4 KiB.
	Window int64

	// StallTimeout is how long one reader of an unlinked write may delay the others. Zero or less:
	// 30 seconds.
	StallTimeout time.Duration

	// Heap keeps all memory on the Go heap. By default pages and bodies are outside of it, where
	// the system has anonymous mappings (Linux): the garbage collector would let them take twice
	// their size.
	Heap bool

	// Logger is told, once, that a hit was not closed. Nil: slog.Default().
	Logger *slog.Logger
}

const shardCount = 256

var (
	errNoRoomForMeta  = fmt.Errorf("memcache: no room for the new meta: %w", cirque.ErrUnlinked)
	errNoRoomForWrite = fmt.Errorf("memcache: no room for the write: %w", cirque.ErrUnlinked)
)

// MemCache is a [cirque.StreamingStorage] in memory. It is safe for concurrent use, starts no
// goroutines and needs no closing. Use New.
type MemCache struct {
	budget *account
	memory *offheap.Memory
	bodies stream.Options // for every write under way, without its SizeHint
	tags   atomic.Uint64  // the last tag that was used
	purges cirque.PurgeState
	held   atomic.Int64 // see Held
	shards [shardCount]shard

	forgotten  forgotten
	operations metric.Operations
}

var (
	_ cirque.StreamingStorage = (*MemCache)(nil)
	_ cirque.HoldingStorage   = (*MemCache)(nil)
	_ cirque.BudgetedStorage  = (*MemCache)(nil)
)

// New returns an empty MemCache.
func New(config Config) *MemCache {
	budget, memory := &account{Budget: config.Budget}, offheap.New(config.Heap)
	c := &MemCache{
		budget: budget,
		memory: memory,
		bodies: stream.Options{
			Memory:       memory,
			Reserve:      func(n int64) bool { return budget.begin(nil, n) },
			Release:      budget.end,
			Window:       config.Window,
			StallTimeout: config.StallTimeout,
		},
	}
	c.forgotten.logger = config.Logger
	if !memory.OnHeap() {
		config.Budget.SetMedium(stats.MediumOffHeap)
	}
	for i := range c.shards {
		c.shards[i].init(budget, memory)
	}
	return c
}

func (c *MemCache) shard(primary cirque.HashBinary) *shard {
	return &c.shards[binary.LittleEndian.Uint64(primary[8:])%shardCount]
}

// Purges implements [cirque.Storage]. The state is not kept beyond the MemCache; the entries are
// not either.
func (c *MemCache) Purges() *cirque.PurgeState { return &c.purges }

// Len returns the number of entries, without writes under way.
func (c *MemCache) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += s.index.count
		s.mu.RUnlock()
	}
	return n
}

// Forgotten returns how many hits were found by the garbage collector instead of being closed. Each
// has kept its memory until then.
func (c *MemCache) Forgotten() int64 { return c.forgotten.count.Load() }

// Held implements [cirque.HoldingStorage], for bodies of 64 KiB and more.
func (c *MemCache) Held() int64 { return c.held.Load() }

// Budgets implements [cirque.BudgetedStorage].
func (c *MemCache) Budgets() []*cirque.Budget { return []*cirque.Budget{c.budget.Budget} }

// Lookup implements [cirque.Storage]. It prefers a linked write under way to the entry in place if
// the write began after that entry was stored.
func (c *MemCache) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if metric.Sampled() {
		return c.timedLookup(ctx, key)
	}
	return c.shard(key.PrimaryHash()).lookup(ctx, &key, 0)
}

// LookupStreaming implements [cirque.StreamingStorage].
func (c *MemCache) LookupStreaming(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if tag == 0 {
		return nil, nil, cirque.ErrNotFound
	}
	return c.shard(key.PrimaryHash()).lookup(ctx, &key, tag)
}

// MissHandler implements [cirque.Storage]. The handler is a [cirque.StreamingMissHandler]. Where
// there is no room for even the bookkeeping, or the announced length of the body exceeds the limit,
// MissHandler returns an error that wraps [cirque.ErrUnlinked].
func (c *MemCache) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := newWrite(ctx, c, c.shard(key.PrimaryHash()), key, meta, opts)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Purge implements [cirque.Storage]. An invalidation that voids a linked write under way has
// removed something, because Lookup could find that write.
func (c *MemCache) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	defer c.operations.Purge.Since(time.Now())
	s := c.shard(key.Primary)
	combined := key.Combined()
	s.mu.Lock()
	defer s.mu.Unlock()
	removed := s.remove(combined)
	if typ != cirque.PurgeEviction && s.void(key) {
		removed = true
	}
	if !removed {
		return cirque.ErrNotFound
	}
	return nil
}

// UpdateMeta implements [cirque.Storage], for linked writes under way too. Where the budget has no
// room for the new meta, it returns an error that wraps ErrUnlinked and changes nothing.
func (c *MemCache) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	defer c.operations.Update.Since(time.Now())
	s := c.shard(key.PrimaryHash())
	if found, err := c.updateWrite(s, &key, meta, tag); found || err != nil {
		return err
	}
	return c.updateEntry(s, &key, meta, tag)
}

func (c *MemCache) updateEntry(s *shard, key *cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	var stack [256]byte
	identity := key.AppendIdentity(stack[:0])
	s.mu.RLock()
	_, r := s.find(key, identity, tag)
	if r == nil {
		s.mu.RUnlock()
		return cirque.ErrNotFound
	}
	// Nothing but the meta of an entry changes while it has its tag.
	charge := r.weight() - int64(r.meta) + int64(meta.MetaSize())
	s.mu.RUnlock()

	if !c.budget.Reserve(nil, charge) {
		return errNoRoomForMeta
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, r := s.find(key, identity, tag)
	if r == nil {
		c.budget.Release(charge)
		return cirque.ErrNotFound
	}
	c.budget.Release(r.weight())
	s.update(i, r, meta)
	return nil
}

// updateWrite replaces the meta of the linked write under way with that tag, if there is one.
func (c *MemCache) updateWrite(s *shard, key *cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) (found bool, err error) {
	s.mu.RLock()
	w := s.linked(key, tag)
	s.mu.RUnlock()
	if w == nil {
		return false, nil
	}
	size := int64(meta.MetaSize())
	if !c.budget.begin(nil, size) {
		return true, errNoRoomForMeta
	}
	s.mu.Lock()
	if s.linked(key, tag) == w {
		old := int64(w.meta.MetaSize())
		w.meta = meta
		w.overhead += size - old
		found, size = true, old
	}
	s.mu.Unlock()
	c.budget.end(size)
	return found, nil
}
