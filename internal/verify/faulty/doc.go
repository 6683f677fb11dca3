// Package faulty provides origins and clients that misbehave, for tests of a cache. They use real
// sockets.
//
// # Origins
//
// An [Origin] is an HTTP/1.1 server that writes to the bare connection, so that it can do what a
// server library prevents: cut a header in half, declare a wrong length, break a chunk. An
// [HTTP2Origin] uses net/http's server and resets streams. Both call a script for an [Answer] to
// each request and play it. Both keep a [Journal] of their requests.
//
//	origin := faulty.NewOrigin(t, func(*http.Request) faulty.Answer {
//		return faulty.Answer{Body: "hello", Kind: faulty.ResetInBody, At: 3}
//	})
//
// The fields of an Answer combine freely, so a soak test can take any Answer of a script and set
// its [Kind] to a random one of [Kinds].
//
// # Clients
//
// A [Conn] sends requests unchecked and reads the answers. A [Client] uses a Conn and misbehaves in
// one of the ways that [Behaviours] lists.
//
// # Leaks
//
// [CheckGoroutines] and [TrackBodies] fail a test that leaves a goroutine running or a response
// body open.
//
// Package faultystorage has the faults of a Storage. It is a separate package because it imports
// the root package; so the root's own tests can import this one.
package faulty
