// Package cirque holds the parts of an HTTP cache: the state machine of a request, the interfaces of what it is made
// of, and the caching rules.
//
// To put a cache in front of a handler or behind a client, take package middleware, which drives this one. This
// package is for those who build a proxy of their own, or a part for one.
//
// # A request
//
// An [HttpCache] is one request's walk through the cache. It is told the decisions and keeps the books; [CachePhase] is where it
// stands. What the requests of one cache share is in [CacheOptions]. A response on its way into the store is a [Fill], which
// outlives the request that began it.
//
// # Parts
//
// A [Storage] keeps responses, under a [CacheKey] and with a [CacheMeta]; one whose writes can be read while they are under way
// is a [StreamingStorage]. An [EvictionManager] chooses what leaves, within a [Budget]. A [CacheKeyLock] lets one request at
// a time fill a key; [CacheLock] is the one of a process. A [CacheablePredictor] remembers what turned out uncacheable.
// A [CacheTrace] sees what happens.
//
// # Rules
//
// A [Policy] holds the choices that RFC 9111 leaves to a cache. Its methods, and functions such as [EvaluatePreconditions]
// and [ParseRange], are the rules: pure functions of requests, responses and an instant. They work without a cache as well.
package cirque
