// Package memcache is the in-memory Storage: a sharded table of immutable entries, and writes that
// any number of readers can follow while they are under way.
//
// # Memory
//
// An entry is two heap objects where its body is small: a struct and one pointer-free block with
// key text, meta and body. A larger body is a few pointer-free segments. A million entries are thus little work
// for the garbage collector, and a hit copies neither header nor body.
//
// Everything is charged to the Budget before it is allocated: the segments of writes under way,
// and entries until they are out of the table and their last reader has closed. Not counted is
// what the allocator rounds up, at most an eighth, and 6 % on average.
//
// # Locking
//
// A shard holds all that concerns one primary key: its entry, those of its variants, and the writes under
// way for them. Its lock is held for table operations only, never while memory is reserved:
// a reservation may evict, which comes back as Purge. Lock order: shard, then stream.Buffer.
package memcache

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// Config configures a MemCache. The zero Config is a cache without limit: give it a Budget.
type Config struct {
	// Budget is the limit on the memory held, shared with whoever else draws on it. Call its
	// EvictWith with the MemCache and an EvictionManager, or it can only refuse. Nil: no limit.
	Budget *cirque.Budget

	// Window is how many bytes of its body an unlinked write keeps for the readers it has. Zero or less:
	// 64 KiB; at least 4 KiB.
	Window int64

	// StallTimeout is how long one reader of an unlinked write may hold up the others. Zero or less:
	// 30 seconds.
	StallTimeout time.Duration
}

const shardCount = 256

var errNoRoomForMeta = fmt.Errorf("memcache: no room for the new meta: %w", cirque.ErrUnlinked)

// MemCache is a [cirque.StreamingStorage] in memory. It is safe for concurrent use, starts no goroutines and
// needs no closing. Use New.
type MemCache struct {
	config Config
	tags   atomic.Uint64 // the last one given out
	shards [shardCount]shard
}

var _ cirque.StreamingStorage = (*MemCache)(nil)

// New returns an empty MemCache.
func New(config Config) *MemCache {
	c := &MemCache{config: config}
	for i := range c.shards {
		s := &c.shards[i]
		s.entries = make(map[cirque.HashBinary]*entry)
		s.writes = make(map[cirque.HashBinary]*write)
	}
	return c
}

func (c *MemCache) shard(primary cirque.HashBinary) *shard {
	return &c.shards[binary.LittleEndian.Uint64(primary[8:])%shardCount]
}

// Len returns the number of entries, writes under way not among them.
func (c *MemCache) Len() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.RLock()
		n += len(s.entries)
		s.mu.RUnlock()
	}
	return n
}

// Lookup implements [cirque.Storage]. A linked write under way that began after the entry in place was
// written comes before that entry.
func (c *MemCache) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	return c.lookup(ctx, key, 0)
}

// LookupStreaming implements [cirque.StreamingStorage].
func (c *MemCache) LookupStreaming(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if tag == 0 {
		return nil, nil, cirque.ErrNotFound
	}
	return c.lookup(ctx, key, tag)
}

// lookup looks for the write or entry with that tag, or for the best there is if tag is zero.
func (c *MemCache) lookup(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	var stack [256]byte
	identity := key.AppendIdentity(stack[:0])
	s := c.shard(key.PrimaryHash())

	s.mu.RLock()
	for w := s.writes[key.PrimaryHash()]; w != nil; w = w.next {
		if tag == 0 && w.overtaken || tag != 0 && w.tag != tag || !w.isFor(&key) {
			continue
		}
		if h, err := w.newReader(ctx); err == nil {
			meta := w.meta
			s.mu.RUnlock()
			return meta, h, nil
		}
	}
	e := s.entries[key.Combined()]
	if e == nil || tag != 0 && e.tag != tag || e.identity() != string(identity) {
		s.mu.RUnlock()
		return nil, nil, cirque.ErrNotFound
	}
	e.refs.Add(1)
	s.mu.RUnlock()

	h := newHit(c, e)
	return &h.meta, h, nil
}

// Purge implements [cirque.Storage]. A linked write under way that an invalidation has voided counts as
// removed: it is what Lookup found.
func (c *MemCache) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	combined := key.Combined()
	s := c.shard(key.Primary)

	s.mu.Lock()
	e := s.entries[combined]
	delete(s.entries, combined)
	voided := typ != cirque.PurgeEviction && s.void(key)
	s.mu.Unlock()

	if e != nil {
		c.release(e)
	} else if !voided {
		return cirque.ErrNotFound
	}
	return nil
}

// UpdateMeta implements [cirque.Storage], for linked writes under way too. Where the budget has no room for the new
// meta it returns an error that wraps ErrUnlinked, and all stays as it is.
func (c *MemCache) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	s := c.shard(key.PrimaryHash())
	if found, err := c.updateWrite(s, &key, meta, tag); found || err != nil {
		return err
	}
	old := s.hold(key, tag)
	if old == nil {
		return cirque.ErrNotFound
	}
	defer c.release(old)

	inline := old.inline()
	updated := c.newEntry(old.identity(), meta, tag, old.body, len(inline), func(block []byte) []byte {
		return append(block, inline...)
	})
	if updated == nil {
		return errNoRoomForMeta
	}
	if old.body != nil {
		old.body.refs.Add(1)
	}
	replaced := s.replace(key.Combined(), tag, updated)
	if replaced == nil {
		c.release(updated)
		return cirque.ErrNotFound
	}
	c.release(replaced)
	return nil
}
