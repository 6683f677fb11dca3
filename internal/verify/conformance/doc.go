// Package conformance is a suite of scripted HTTP exchanges. It shows, over real connections,
// whether a cache keeps the rules of HTTP caching: RFC 9111, 9110, 5861, 8246, 9211, 9213 and 9875.
//
// # Requirements and cases
//
// The suite is data. A [Requirement] states in our words what one sentence of an RFC requires of a
// cache. It holds the [Case]s that show that it is kept, or the reason why there is no case.
// [Requirements] lists all of them, and [WriteTable] renders them as docs/conformance.md.
//
// A Case is a list of [Step]s. A step is one request of a client, with the origin's answer, what
// the client must see, and which request the origin must have received. Most cases need a line or
// two:
//
//	{Name: "s-maxage goes before max-age", Steps: []Step{
//		get().answered(200, "Cache-Control: max-age=10, s-maxage=100", "Age: 20"),
//		get().reuses(0),
//	}}
//
// Field values may contain times relative to the start of the case, as in "Expires: {now+60}"; see
// [Lines]. The origin's Age or Date field sets the age of a response, so almost no case has to
// wait.
//
// # Doors
//
// A [Suite] runs a case against a [Subject], the cache under test, through one of the [Doors]: as a
// handler in front of a service or of a reverse proxy, or as a transport behind a reverse proxy or
// in a client. Each run of a case has its own path, so many cases share the servers of a door and
// run at once.
package conformance

//go:generate go run ./gen
