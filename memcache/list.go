package memcache

import (
	"context"
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/inspect"
)

var _ inspect.ListingStorage = (*MemCache)(nil)

var errBadCursor = errors.New("memcache: bad cursor")

// List implements [inspect.ListingStorage]. The order is that of the records, of which an entry
// keeps its own as long as it is in place.
func (c *MemCache) List(
	ctx context.Context, cursor string, look int, want func(cirque.CacheKey) bool, visit func(inspect.StoredEntry),
) (next string, err error) {
	var shard, number uint32
	if cursor != "" {
		if n, err := fmt.Sscanf(cursor, "%d.%d", &shard, &number); n != 2 || err != nil || shard >= shardCount {
			return "", errBadCursor
		}
	}
	for look = max(look, 1); shard < shardCount; shard, number = shard+1, 0 {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if number, look = c.shards[shard].list(number, look, want, visit); look <= 0 {
			return fmt.Sprintf("%d.%d", shard, number), nil
		}
	}
	return "", nil
}

// list looks at `look` records from the one with that number on. It returns the number of the next
// record, and how many more there are to look at.
func (s *shard) list(number uint32, look int, want func(cirque.CacheKey) bool, visit func(inspect.StoredEntry)) (next uint32, left int) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for end := uint32(len(s.records.chunks) * recordsPerChunk); number < end && look > 0; number, look = number+1, look-1 {
		r := s.records.at(number)
		if r.page == noPage {
			continue // free
		}
		key, err := cirque.ParseIdentity(s.identity(r))
		if err != nil || !want(key) {
			continue
		}
		meta := new(cirque.CacheMeta)
		if meta.UnmarshalBinary(s.block(r)[r.identity:][:r.meta]) != nil { // makes a copy
			continue
		}
		e := inspect.StoredEntry{Key: key, Meta: meta, Size: int64(r.inline), Weight: r.weight()}
		if r.inline == outside {
			b := s.bodies[number]
			e.Size = b.size
			e.Weight += b.charged
		}
		visit(e)
	}
	return number, look
}
