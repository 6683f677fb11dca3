// Package tiered puts a small, fast Storage in front of a large one: memory in front of disk.
//
// The lower Storage has everything; the upper one has copies of what is small and in demand:
//
//	storage := tiered.New(memory, disk, tiered.Config{UpperEviction: memoryManager})
//	options := &cirque.CacheOptions{Storage: storage, Eviction: disk.Eviction()}
//
// Writes go to both where the body is small enough, and a hit below is copied upward. Purges and
// new metas reach both; purges of everything and of groups are kept below and count for both. While
// the lower Storage fails, the upper one goes on to answer, and takes writes alone if both stream.
// Hits on the upper Storage must be able to seek.
//
// # Eviction and budgets
//
// Each Storage keeps to its own limits: a Budget's EvictWith gets the Storage that draws on it. The
// manager of the lower one is the one to give to the cache, which tells it of all hits, those above
// included; the tier itself tells Config.UpperEviction. What leaves below by the lower Storage's
// own decision may live on above.
//
// # Reading writes under way
//
// New returns a [cirque.StreamingStorage] if the lower Storage is one. Readers then follow the
// write below, which is not cut off when the body turns out too large for the upper Storage.
package tiered

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
)

// DefaultMaxUpperBytes is the default of Config.MaxUpperBytes.
const DefaultMaxUpperBytes = 1 << 20

// Config configures New.
type Config struct {
	// UpperEviction decides what leaves the upper Storage. Nil: that looks after itself.
	UpperEviction cirque.EvictionManager

	// MaxUpperBytes is the largest body that the upper Storage gets. Zero or less:
	// DefaultMaxUpperBytes.
	MaxUpperBytes int64
}

// New returns the Storage that upper and lower make together. upper starts out empty. Nobody else
// may write to them, but both may drop entries at any time.
func New(upper, lower cirque.Storage, config Config) cirque.Storage {
	if config.MaxUpperBytes <= 0 {
		config.MaxUpperBytes = DefaultMaxUpperBytes
	}
	t := &tier{upper: upper, lower: lower, config: config, mask: cirque.Tag(rand.Uint64())}
	if lower, ok := lower.(cirque.StreamingStorage); ok {
		return &streamingTier{tier: t, lower: lower}
	}
	return t
}

// Budgets implements cirque.BudgetedStorage: those of both Storages.
func (t *tier) Budgets() []*cirque.Budget {
	var budgets []*cirque.Budget
	for _, storage := range [...]cirque.Storage{t.upper, t.lower} {
		if s, ok := storage.(cirque.BudgetedStorage); ok {
			budgets = append(budgets, s.Budgets()...)
		}
	}
	return budgets
}

const stripeCount = 256

// Purges implements [cirque.Storage]: those of the lower Storage, which keeps longest, count for
// both.
func (t *tier) Purges() *cirque.PurgeState { return t.lower.Purges() }

// tier is a cirque.Storage over two.
//
// INVARIANT: an entry above is a copy of the one in place below, or the one below is gone. Every
// change below is followed above with the stripe locked.
//
// A tag of the tier is one of the lower Storage; a copy above carries it with it. A tag of what was
// written to the upper Storage alone is that one's, xor mask, which is random so that the two are
// not taken for each other.
type tier struct {
	upper, lower cirque.Storage
	config       Config
	mask         cirque.Tag
	stripes      [stripeCount]stripe
}

var (
	_ cirque.BudgetedStorage = (*tier)(nil)
	_ cirque.LimitedStorage  = (*tier)(nil)
)

// Limit implements [cirque.LimitedStorage]: a response is in one of both Storages, or in both.
func (t *tier) Limit() int64 {
	upper, lower := cirque.StorageLimit(t.upper), cirque.StorageLimit(t.lower)
	if upper <= 0 || lower <= 0 {
		return 0
	}
	return max(upper, lower)
}

// stripe serialises the changes to the keys of some primary hashes. An eviction takes no lock: it
// may come from within a change, when that makes room.
type stripe struct {
	mu sync.Mutex

	// changes counts what makes a copy upward void that began before.
	changes atomic.Uint64

	// active counts writes, and writes holds them, those under way to both Storages.
	active   atomic.Int32
	writesMu sync.Mutex
	writes   []*write
}

func (t *tier) stripe(primary cirque.HashBinary) *stripe { return &t.stripes[primary[0]] }

// writesFor reports whether there is a write under way for key.
func (s *stripe) writesFor(key *cirque.CacheKey) bool {
	if s.active.Load() == 0 {
		return false
	}
	s.writesMu.Lock()
	defer s.writesMu.Unlock()
	for _, w := range s.writes {
		if w.key.Combined() == key.Combined() {
			return true
		}
	}
	return false
}

// evict drops from the upper Storage what its manager gave up.
func (t *tier) evict(ctx context.Context, keys []cirque.CompactCacheKey) {
	for _, key := range keys {
		_ = t.upper.Purge(context.WithoutCancel(ctx), key, cirque.PurgeEviction) // what is not there need not go
	}
}

// dropUpper removes what the upper Storage has of key.
func (t *tier) dropUpper(ctx context.Context, key cirque.CompactCacheKey) {
	t.evict(ctx, []cirque.CompactCacheKey{key})
	if t.config.UpperEviction != nil {
		t.config.UpperEviction.Remove(key)
	}
}
