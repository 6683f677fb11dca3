package cirque

// CacheablePredictor remembers keys whose responses turned out uncacheable, or to need validation before each use, so
// that the next requests for them need not queue behind a lock. A prediction skips the lock and nothing else: a response
// that is cacheable after all is stored.
//
// Implementations are safe for concurrent use, bounded, and forget.
type CacheablePredictor interface {
	// CacheablePrediction reports whether a response for key is likely to be cacheable. What is
	// unknown is.
	CacheablePrediction(key CacheKey) bool

	// MarkCacheable notes that key's response was cacheable, and reports whether that is news.
	MarkCacheable(key CacheKey) (changed bool)

	// MarkUncacheable notes that key's response was not cacheable, or has to be validated before each use, which is
	// OriginNotCache too, and reports whether that is news. Only reasons that say something about the next response
	// count: OriginNotCache, ResponseTooLarge and custom ones; the others are ignored.
	MarkUncacheable(key CacheKey, reason NoCacheReason) (changed bool)
}
