package eviction

import (
	"fmt"
	"math/bits"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// LRU evicts an entry that has not been used for long. It is split into shards, each with its own
// lock and exact order, so hits seldom meet. The limits hold over all shards. Of two random shards,
// the one whose least recently used entry is older gives up a victim.
type LRU struct{ manager }

var _ cirque.EvictionManager = (*LRU)(nil)

// LRUConfig holds the settings of an [LRU].
type LRUConfig struct {
	Config

	// Shards is the number of shards, rounded up to a power of two, at most 1024. Zero means 16.
	Shards int
}

const (
	defaultShards = 16
	maxShards     = 1024
)

// NewLRU returns an empty LRU, or an error if c is invalid.
func NewLRU(c LRUConfig) (*LRU, error) {
	if c.Shards < 0 || c.Shards > maxShards {
		return nil, fmt.Errorf("eviction: Shards is %d; it must be from 0 to %d", c.Shards, maxShards)
	}
	if c.Shards == 0 {
		c.Shards = defaultShards
	}
	n := 1 << bits.Len(uint(c.Shards-1))
	l := &LRU{manager{name: "lru", lockHits: true}}
	times := newTimes()
	if err := l.init(c.Config, n, func(t *table.Table) order { return newRecency(t, times) }); err != nil {
		return nil, err
	}
	return l, nil
}

// Shards returns the number of shards.
func (l *LRU) Shards() int { return len(l.shards) }

// PeekLRU returns the entry of a shard that will leave next, and its weight in bytes. ok is false
// if the shard is empty or does not exist. PeekLRU changes nothing.
func (l *LRU) PeekLRU(shard int) (key cirque.CompactCacheKey, weight int64, ok bool) {
	if shard < 0 || shard >= len(l.shards) {
		return key, 0, false
	}
	s := &l.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	id, _ := s.order.victim()
	if id == 0 {
		return key, 0, false
	}
	n := s.table.At(id)
	return n.Key().Compact(l.tags.text(s.table.Tag(id))), n.Weight, true
}
