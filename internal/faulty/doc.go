// Package faulty holds the misbehaving parts that tests put around a cache, all of them on real sockets.
//
// # Origins
//
// An [Origin] is an HTTP/1.1 server written on the bare connection, so that it can do what a
// server library prevents: cut a header in half, lie about a length, break a chunk. An
// [HTTP2Origin] stands on net/http's server and resets streams. Both ask a script for an [Answer] to
// each request and play it; both keep a [Journal] of what they were asked.
//
//	origin := faulty.NewOrigin(t, func(*http.Request) faulty.Answer {
//		return faulty.Answer{Body: "hello", Kind: faulty.ResetInBody, At: 3}
//	})
//
// The parts of an Answer combine freely, so a soak can pick a [Kind] at random from [Kinds] and lay
// it over whatever the script would have said.
//
// # Clients
//
// A [Conn] sends requests byte by byte as they are and reads the answers. A [Client] is built on it and
// behaves badly in one of the ways listed by [Behaviours].
//
// # Leaks
//
// [CheckGoroutines] and [TrackBodies] fail a test that leaves a goroutine or a response body behind.
//
// Faults of the storage are in the package faultystorage. It is apart because it imports the root package, whose own
// tests can then import this one.
package faulty
