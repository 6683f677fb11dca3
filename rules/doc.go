// Package rules holds what RFC 9111 and its relatives decide: pure functions of requests, responses
// and an instant, which read no clock, do no I/O and keep nothing that they are given. They also
// work without a cache.
//
// A [Policy] holds the choices that the RFCs leave to a cache. Its methods, and functions such as
// [EvaluatePreconditions] and [ParseRange], are the rules, one file for each concern:
//
//	policy.go         the choices; a request with its response; why a response is refused
//	request.go        whether a request may be answered from a cache (RFC 9111 §3, §5.2.1)
//	target.go         what a request asks for (RFC 9110 §7.1)
//	storing.go        whether a response may be stored (§3)
//	fields.go         which of its fields (§3.1, RFC 9110 §7.6.1)
//	freshness.go      how long it is fresh (§4.2)
//	reuse.go          whether a stored response answers a request (§4, RFC 5861, RFC 8246)
//	validation.go     preconditions, of clients and towards the origin (§4.3.1, RFC 9110 §13)
//	freshening.go     what a 304, or the answer to a HEAD, updates (§3.2, §4.3.4, §4.3.5)
//	invalidation.go   what an unsafe request makes invalid (§4.4, RFC 9875)
//	partial.go        ranges (RFC 9110 §14)
//	partial_entry.go  stored parts, and how they are put together (§3.3, §3.4)
//
// Vary (§4.1) is in the root package: the state machine selects variants by it.
package rules
