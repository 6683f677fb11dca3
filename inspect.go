package cirque

import (
	"context"
	"time"
)

// The interfaces of this file are for people who look into a cache: middleware.Cache.Explain and
// Entries use them. They are optional. What they do does not count as a use of an entry.

// PeekingStorage is a Storage whose Lookup changes something, such as the tier that an entry is in.
type PeekingStorage interface {
	Storage

	// Peek is Lookup without that change.
	Peek(ctx context.Context, key CacheKey) (*CacheMeta, HitHandler, error)
}

// ListingStorage is a Storage that can list its entries.
type ListingStorage interface {
	Storage

	// List looks at about `look` entries, at least one, beginning at cursor, and calls visit for
	// each one whose key want accepts. next is the cursor to go on with; it is empty at the end. An
	// empty cursor is the beginning.
	//
	// Entries may come and go between two calls. An entry that stays in place is visited exactly
	// once. Writes under way are not visited. A cursor that List did not return is an error. want
	// and visit must not call the Storage.
	List(ctx context.Context, cursor string, look int, want func(CacheKey) bool, visit func(StoredEntry)) (next string, err error)
}

// StoredEntry is what a ListingStorage tells about an entry.
type StoredEntry struct {
	Key    CacheKey   // without a user tag or extensions
	Meta   *CacheMeta // must not be changed
	Size   int64      // of the body, in bytes
	Weight int64      // as in HitHandler.Weight
}

// UseCounter is an EvictionManager that knows how often entries were used.
type UseCounter interface {
	EvictionManager

	// Uses returns how often key was accessed, as far as the policy remembers. atLeast reports that
	// there may have been more. ok is false if key is not tracked. It does not count as an access.
	Uses(key CompactCacheKey) (n int, atLeast, ok bool)
}

// ExplainingPredictor is a CacheablePredictor that remembers why a key was marked as uncacheable.
type ExplainingPredictor interface {
	CacheablePredictor

	// Marked returns the latest reason for which key was marked, and when. ok is false if
	// CacheablePrediction is true. The reason is empty if it was forgotten.
	Marked(key CacheKey) (reason NoCacheReason, at time.Time, ok bool)
}

// ObservableLock is a CacheKeyLock that can tell whether a key is locked.
type ObservableLock interface {
	CacheKeyLock

	// Held reports whether Lock would return a ReadLock now, and whether the writer revalidates a
	// stale entry.
	Held(key CacheKey) (held, staleWriter bool)
}

// Held implements [ObservableLock].
func (l *cacheLock) Held(key CacheKey) (held, staleWriter bool) {
	hash := key.Combined()
	shard := &l.shards[hash[0]%lockShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	r := shard.mu.keys[hash]
	if r == nil || !r.heldAt(time.Now()) {
		return false, false
	}
	return true, r.stale
}
