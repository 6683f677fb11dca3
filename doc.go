// Package cirque holds the parts of an HTTP cache: the state machine of a request, and the
// interfaces of the cache's parts. The caching rules are in package rules.
//
// To put a cache in front of a handler or behind a client, use package middleware, which drives
// this one. Use this package to build your own proxy, or a part for one.
//
// # A request
//
// An [HttpCache] is one request's walk through the cache. The caller decides, and the HttpCache
// keeps the state; [CachePhase] says where the walk stands. [CacheOptions] holds what all requests
// of one cache share. A [Fill] writes one response to the Storage, and may outlive the request that
// began it.
//
// # Parts
//
// A [Storage] keeps responses, each under a [CacheKey] and with a [CacheMeta]. A [StreamingStorage]
// is one whose writes can be read while they are under way. An [EvictionManager] chooses the
// entries that leave; a [Budget] is the memory limit. A [CacheKeyLock] lets one request at a time
// fill a key; [CacheLock] implements it for one process. A [CacheablePredictor] remembers which
// responses were uncacheable. A [CacheTrace] reports events.
//
// The root does not know the rules: the caller says whether a response may be stored, and whether
// what is stored may be reused. Package rules decides that.
package cirque
