package cirque

import (
	"context"
	"time"
)

// EvictionManager decides which entries leave when room is needed. It knows keys and weights,
// never bodies: whoever calls it removes from the Storage what it hands back.
//
// All methods are safe for concurrent use. A key is tracked from Admit (or an Access that did
// not know it) until it is handed back as evicted or removed.
//
// INVARIANT: after Admit, IncrementWeight or Evict returns, the weight of the tracked entries is
// at most the manager's limit.
type EvictionManager interface {
	// Admit tracks key, or changes the weight of a key it tracks, and returns the keys that have
	// to leave for it; key itself is among them where the manager declines it. weight is in bytes
	// and positive. freshUntil lets a policy prefer expired victims. cost is what it took to fetch the
	// entry, for policies that weigh it; zero where unknown. The slice is the caller's.
	Admit(key CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) (evicted []CompactCacheKey)

	// IncrementWeight adds delta to a tracked key's weight, up to maxWeight (zero: no maximum), and
	// returns what has to leave for it. An unknown key is left unknown.
	IncrementWeight(key CompactCacheKey, delta, maxWeight int64) (evicted []CompactCacheKey)

	// Access notes a hit. A key that is not tracked (the manager's state was lost, the store's was
	// not) is tracked from now on; the weight may then pass the limit until the next Admit or
	// Evict. It reports whether the key was known.
	Access(key CompactCacheKey, weight int64, freshUntil time.Time) (known bool)

	// Peek reports whether key is tracked, without counting as an access.
	Peek(key CompactCacheKey) bool

	// Remove forgets key: it was purged. Removing an unknown key does nothing.
	Remove(key CompactCacheKey)

	// Evict gives up entries, next victims first, until at least weight bytes have been given up or nothing
	// is left. A [Budget] calls it to make room for bytes that are not entries yet.
	Evict(weight int64) (evicted []CompactCacheKey)

	// TotalWeight and TotalItems describe what is tracked now; EvictedWeight and EvictedItems
	// what has been evicted since the manager was made.
	TotalWeight() int64
	TotalItems() int
	EvictedWeight() int64
	EvictedItems() int64

	// Save writes the order to dir (created if missing), so that Load in a later process can go on
	// from it. Both may run while the manager is in use. Load tracks what was saved, in its order and
	// within the limit; damaged parts are skipped, the rest is loaded, and the error (joined,
	// one per part) reports them. A directory that holds nothing saved is fs.ErrNotExist.
	Save(ctx context.Context, dir string) error
	Load(ctx context.Context, dir string) error
}
