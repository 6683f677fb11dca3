package cirque

import (
	"context"
	"time"
)

// EvictionManager decides which entries leave when room is needed. It knows keys and weights, not
// bodies: the caller must remove the returned keys from the Storage.
//
// All methods are safe for concurrent use. A key is tracked from Admit, or from an Access to an
// unknown key, until it is returned as evicted or removed.
//
// INVARIANT: after Admit, IncrementWeight or Evict returns, the tracked entries weigh at most the
// manager's limit.
type EvictionManager interface {
	// Admit tracks key, or changes the weight of a key it tracks, and returns the keys that have to
	// leave for it. If the manager declines key, key itself is among them. weight is in bytes and
	// positive. freshUntil lets a policy prefer expired victims. cost is the time that the fetch
	// took, for policies that use it; zero means unknown. The slice is the caller's.
	Admit(key CompactCacheKey, weight int64, freshUntil time.Time, cost time.Duration) (evicted []CompactCacheKey)

	// IncrementWeight adds delta to a tracked key's weight, up to maxWeight (zero: no maximum), and
	// returns the keys that have to leave for it. An unknown key stays unknown.
	IncrementWeight(key CompactCacheKey, delta, maxWeight int64) (evicted []CompactCacheKey)

	// Access records a hit and reports whether the key was tracked. An untracked key, which exists
	// if the manager's state was lost and the Storage's was not, is tracked from now on. The total
	// weight may then exceed the limit until the next Admit or Evict.
	Access(key CompactCacheKey, weight int64, freshUntil time.Time) (known bool)

	// Peek reports whether key is tracked. It does not count as an access.
	Peek(key CompactCacheKey) bool

	// Remove forgets key, because it was purged. It does nothing for an unknown key.
	Remove(key CompactCacheKey)

	// Evict evicts entries, next victims first, until they weigh at least weight bytes or nothing
	// is left. A [Budget] calls it to make room for bytes that are not entries yet.
	Evict(weight int64) (evicted []CompactCacheKey)

	// TotalWeight and TotalItems are of the entries tracked now; EvictedWeight and EvictedItems are
	// of all entries evicted since the manager was made.
	TotalWeight() int64
	TotalItems() int
	EvictedWeight() int64
	EvictedItems() int64

	// Save writes the order of the entries to dir, which it creates if it is missing, for a Load in
	// a later process. Both may run while the manager is in use. Load tracks the saved keys in
	// their order and within the limit. It skips damaged parts, loads the rest, and returns an
	// error that joins one error per damaged part. If dir holds nothing saved, the error is
	// fs.ErrNotExist.
	Save(ctx context.Context, dir string) error
	Load(ctx context.Context, dir string) error
}
