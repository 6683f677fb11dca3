// Package inspect is for people who look into a cache: what middleware.Cache.Explain and Entries
// may ask of a Storage, an eviction policy, a predictor or a lock. All of it is optional, and
// nothing of it counts as a use of an entry.
package inspect

import (
	"context"
	"errors"
	"time"

	"github.com/cirquecache/cirque"
)

// PeekingStorage is a Storage whose Lookup changes something, such as the tier that an entry is in.
type PeekingStorage interface {
	cirque.Storage

	// Peek is Lookup without that change.
	Peek(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error)
}

// ListingStorage is a Storage that can list its entries.
type ListingStorage interface {
	cirque.Storage

	// List looks at about `look` entries, at least one, beginning at cursor, and calls visit for
	// each one whose key want accepts. next is the cursor to go on with; it is empty at the end. An
	// empty cursor is the beginning.
	//
	// Entries may come and go between two calls. An entry that stays in place is visited exactly
	// once. Writes under way are not visited. A cursor that List did not return is an error. want
	// and visit must not call the Storage.
	List(ctx context.Context, cursor string, look int, want func(cirque.CacheKey) bool, visit func(StoredEntry)) (next string, err error)
}

// StoredEntry is what a ListingStorage tells about an entry.
type StoredEntry struct {
	Key    cirque.CacheKey   // without a user tag or extensions
	Meta   *cirque.CacheMeta // must not be changed
	Size   int64             // of the body, in bytes
	Weight int64             // as in HitHandler.Weight
}

// UseCounter is an EvictionManager that knows how often entries were used.
type UseCounter interface {
	cirque.EvictionManager

	// Uses returns how often key was accessed, as far as the policy remembers. atLeast reports that
	// there may have been more. ok is false if key is not tracked. It does not count as an access.
	Uses(key cirque.CompactCacheKey) (n int, atLeast, ok bool)
}

// ExplainingPredictor is a CacheablePredictor that remembers why a key was marked as uncacheable.
type ExplainingPredictor interface {
	cirque.CacheablePredictor

	// Marked returns the latest reason for which key was marked, and when. ok is false if
	// CacheablePrediction is true. The reason is empty if it was forgotten.
	Marked(key cirque.CacheKey) (reason cirque.NoCacheReason, at time.Time, ok bool)
}

// ObservableLock is a CacheKeyLock that can tell whether a key is locked.
type ObservableLock interface {
	cirque.CacheKeyLock

	// Held reports whether Lock would return a ReadLock now, and whether the writer revalidates a
	// stale entry.
	Held(key cirque.CacheKey) (held, staleWriter bool)
}

// Peek is storage.Lookup as a look that changes nothing. It is for people; a request must use
// Lookup.
func Peek(ctx context.Context, storage cirque.Storage, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if s, ok := storage.(PeekingStorage); ok {
		return s.Peek(ctx, key)
	}
	return storage.Lookup(ctx, key)
}

// List is storage.List, or the error errors.ErrUnsupported if storage is not a [ListingStorage].
func List(
	ctx context.Context, storage cirque.Storage, cursor string, look int, want func(cirque.CacheKey) bool, visit func(StoredEntry),
) (next string, err error) {
	if s, ok := storage.(ListingStorage); ok {
		return s.List(ctx, cursor, look, want, visit)
	}
	return "", errors.ErrUnsupported
}
