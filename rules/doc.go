// Package rules holds the decisions of RFC 9111 and its relatives. They are pure functions of
// requests, responses and an instant: they read no clock, do no I/O and keep nothing that they are
// given. They can be used without a cache.
//
// A [Policy] holds the choices that the RFCs leave to a cache. Its methods, and functions such as
// [EvaluatePreconditions] and [ParseRange], are the rules. Each file has one concern. Sections are
// those of RFC 9111 unless another RFC is named, and the files are listed in its order:
//
//	policy.go         the choices; a request with its response; why a response is refused
//	target.go         the target URI of a request (RFC 9110 §7.1)
//	request.go        whether a request may be answered from a cache (§3, §4, §5.2.1)
//	storing.go        whether a response may be stored (§3)
//	fields.go         which fields of a response are stored (§3.1, RFC 9110 §7.6.1)
//	partial.go        range requests (RFC 9110 §14)
//	partial_entry.go  stored parts of a representation, and combining them (§3.3, §3.4)
//	reuse.go          whether a stored response answers a request (§4, RFC 5861, RFC 8246)
//	vary.go           which fields of the request select a response (§4.1, RFC 9110 §12.5.5)
//	freshness.go      how long a response is fresh (§4.2)
//	validation.go     preconditions, of clients and for the origin (§4.3.1, §4.3.2, RFC 9110 §13)
//	freshening.go     what a 304 or the answer to a HEAD updates (§3.2, §4.3.4, §4.3.5)
//	invalidation.go   what the answer to an unsafe request makes invalid (§4.4, RFC 9875)
//	reasons.go        what the reasons of all these rules mean, in words
//
// Vary (§4.1) is in the root package, because the state machine selects variants by it.
package rules
