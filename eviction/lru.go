package eviction

import (
	"fmt"
	"math/bits"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// LRU evicts what has not been used for long. It is split into shards, each with a lock and an exact order of its
// own, so that hits seldom meet; the limits are over all of them. The shard that gives up a victim is chosen by two
// random draws: that whose oldest entry is older.
type LRU struct{ manager }

var _ cirque.EvictionManager = (*LRU)(nil)

// LRUConfig holds what an [LRU] is told.
type LRUConfig struct {
	Config

	// Shards is the number of shards, rounded up to a power of two, at most 1024. Zero means 16.
	Shards int
}

const (
	defaultShards = 16
	maxShards     = 1024
)

// NewLRU returns an empty LRU, or an error where c is invalid.
func NewLRU(c LRUConfig) (*LRU, error) {
	if c.Shards < 0 || c.Shards > maxShards {
		return nil, fmt.Errorf("eviction: %d shards; at most %d are possible", c.Shards, maxShards)
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

// PeekLRU returns the entry of a shard that will leave next, and its weight in bytes; ok is false where the shard
// is empty or doesn't exist. Nothing changes.
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
	return n.Key().Compact(l.tags.text(n.Tag)), n.Weight, true
}
