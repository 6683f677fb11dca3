// Package tiered puts a small, fast Storage in front of a large one: memory in front of disk.
//
// The lower Storage holds all entries. The upper one holds copies of small entries that are in
// demand:
//
//	storage := tiered.New(memory, disk, tiered.Config{UpperEviction: memoryManager})
//	options := &cirque.CacheOptions{Storage: storage, Eviction: disk.Eviction()}
//
// A write goes to both Storages if its body is small enough, and a hit on the lower one is copied
// to the upper one. Purges and new metas go to both. Purges of everything and of groups are kept by
// the lower Storage and apply to both. While the lower Storage fails, the upper one goes on to
// answer; if both can stream, it also takes writes alone. Hits on the upper Storage must be able to
// seek.
//
// # Eviction and budgets
//
// Each Storage has its own limits. Budget.EvictWith gets the Storage that uses the budget, not the
// tier. Give the manager of the lower Storage to the cache: the cache tells that manager of all
// hits, also of those on the upper Storage. The tier tells Config.UpperEviction. An entry that the
// lower Storage drops by itself may live on in the upper one.
//
// # Reading writes under way
//
// New returns a [cirque.StreamingStorage] if the lower Storage is one. Readers of a write under way
// then read from the lower Storage, so they are not cut off when the body becomes too large for the
// upper one.
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
	// UpperEviction decides which entries leave the upper Storage. Nil means that the upper Storage
	// decides by itself.
	UpperEviction cirque.EvictionManager

	// MaxUpperBytes is the size of the largest body that goes to the upper Storage. Zero or less
	// means DefaultMaxUpperBytes.
	MaxUpperBytes int64
}

// New returns the Storage that combines upper and lower. upper must be empty. Only the returned
// Storage may write to the two; both may drop entries at any time.
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

const stripeCount = 256

// tier is a cirque.Storage made of two.
//
// INVARIANT: an entry in the upper Storage is a copy of the entry in place in the lower one, unless
// the lower one has none. Each change to the lower Storage is made in the upper one too before the
// stripe is unlocked.
//
// The tag of an entry is the tag that the lower Storage gave it; the copy in the upper Storage
// carries it in its label. The tag of an entry that was written to the upper Storage alone is the
// upper Storage's tag xor mask. mask is random, so that such a tag does not equal one of the lower
// Storage.
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

// Purges implements [cirque.Storage]. The purges of the lower Storage, which keeps entries longest,
// apply to both.
func (t *tier) Purges() *cirque.PurgeState { return t.lower.Purges() }

// Budgets implements [cirque.BudgetedStorage]. It returns the budgets of both Storages.
func (t *tier) Budgets() []*cirque.Budget {
	var budgets []*cirque.Budget
	for _, storage := range [...]cirque.Storage{t.upper, t.lower} {
		if s, ok := storage.(cirque.BudgetedStorage); ok {
			budgets = append(budgets, s.Budgets()...)
		}
	}
	return budgets
}

// Limit implements [cirque.LimitedStorage]. It returns the larger of the two limits, because a
// response may be in one Storage alone.
func (t *tier) Limit() int64 {
	upper, lower := cirque.StorageLimit(t.upper), cirque.StorageLimit(t.lower)
	if upper <= 0 || lower <= 0 {
		return 0
	}
	return max(upper, lower)
}

// stripe serialises the changes to the keys of some primary hashes. An eviction does not lock mu,
// because it may happen within a change that makes room.
type stripe struct {
	mu sync.Mutex

	// changes counts the events that make a copy from the lower Storage to the upper one obsolete
	// if it began before them.
	changes atomic.Uint64

	// writes holds the writes under way to both Storages, guarded by writesMu. active is their
	// number.
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

// evict removes the entries of keys, which the upper manager has given up, from the upper Storage.
func (t *tier) evict(ctx context.Context, keys []cirque.CompactCacheKey) {
	for _, key := range keys {
		_ = t.upper.Purge(context.WithoutCancel(ctx), key, cirque.PurgeEviction) // an entry that is not there need not be removed
	}
}

// dropUpper removes the entry of key from the upper Storage and its manager.
func (t *tier) dropUpper(ctx context.Context, key cirque.CompactCacheKey) {
	t.evict(ctx, []cirque.CompactCacheKey{key})
	if t.config.UpperEviction != nil {
		t.config.UpperEviction.Remove(key)
	}
}
