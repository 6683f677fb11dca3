package cirque

// CacheablePredictor remembers keys whose responses were uncacheable, or have to be validated
// before each use, so that the next requests for them need not wait for the lock. A prediction only
// skips the lock: a response that is cacheable after all is stored.
//
// Implementations are safe for concurrent use, have a bounded size, and forget keys after some
// time.
type CacheablePredictor interface {
	// CacheablePrediction reports whether a response for key is likely to be cacheable. It is true
	// for an unknown key.
	CacheablePrediction(key CacheKey) bool

	// MarkCacheable records that key's response was cacheable, and reports whether that changes the
	// prediction.
	MarkCacheable(key CacheKey) (changed bool)

	// MarkUncacheable records that key's response was not cacheable, or has to be validated before
	// each use (reason OriginNotCache), and reports whether that changes the prediction. Only
	// reasons that hold for the next response too count: OriginNotCache, ResponseTooLarge and
	// custom ones. The others are ignored.
	MarkUncacheable(key CacheKey, reason NoCacheReason) (changed bool)
}
