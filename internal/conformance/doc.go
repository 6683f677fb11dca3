// Package conformance is a suite of scripted HTTP exchanges that shows, over real connections, whether a cache
// keeps the rules of HTTP caching: RFC 9111 and 9110, RFC 5861, 8246, 9211, 9213 and 9875.
//
// # Requirements and cases
//
// The suite is data. A [Requirement] says in our words what one sentence of an RFC asks of a cache and holds
// the [Case]s that show it is kept, or the reason why there is none. [Requirements] lists them all, and
// [WriteTable] renders them as docs/conformance.md.
//
// A Case is a list of [Step]s. Each is one request of a client, with what the origin answers if it is asked, what
// the client must see, and what the origin must have been asked. Most cases need a line or two:
//
//	{Name: "s-maxage goes before max-age", Steps: []Step{
//		get().answered(200, "Cache-Control: max-age=10, s-maxage=100", "Age: 20"),
//		get().reuses(0),
//	}}
//
// Field values may hold times relative to the start of the case, as in "Expires: {now+60}"; see [Lines]. Age is
// given by the origin's Age or Date field, so that almost no case has to wait.
//
// # Doors
//
// A [Suite] runs a case against a [Subject], the cache under test, through one of the [Doors]: as a handler in
// front of a service or of a reverse proxy, and as a transport behind a reverse proxy or in a client. A
// case uses a path of its own, so any number of cases share the servers of a door and run at once.
package conformance

//go:generate go run ./gen
