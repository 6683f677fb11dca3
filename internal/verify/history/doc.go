// Package history tests a cache with random histories and judges the answers by a model. It
// contains tests only.
//
// A few hundred histories, always the same; more of them, from another seed; a single one:
//
//	go test ./internal/verify/history
//	go test ./internal/verify/history -histories 20000 -seed 7
//	go test ./internal/verify/history -run TestHistories -histories 1 -seed 4711 -v
//
// A history is a list of steps drawn from a seed. Several users send requests for a few resources
// to one or two caches on one Storage, often at the same time. The content changes. Some bodies are
// slow, so older responses complete after newer ones. Clients reload, send HEAD, or leave. Purges
// of every kind and unsafe requests come in between. A restart closes the caches and the Storage
// and opens them again on the same directory.
//
// A history runs in a bubble of testing/synctest, so waiting costs no time. No two steps begin at
// the same instant, so a seed gives the same history each time. When a history breaks a rule, the
// tester removes the steps that are not needed, and prints the rest.
//
// # The oracle
//
// Each answer of the origin is an issue and has a number. The field X-Issue of a response names the
// issue that made the response or validated it last. The first line of a body names the issue that
// the body comes from. The oracle uses these two numbers and the list of steps. It uses none of the
// cache's rules and clocks. It checks for each answer:
//
//   - Whether this client may have it. An answer made for one request goes to another request only
//     if the origin allowed reuse without validation, or validated it for that request. A response
//     with Vary goes only to requests with the field values that the origin saw. Set-Cookie goes
//     only to the request that it was made for.
//   - Whether it is recent enough. An answer is within its lifetime or an allowed staleness. It is
//     not older than a stored response that was requested later. It is not from before a purge of
//     any kind, through either cache, before or after a restart. A HEAD response without validators
//     does not extend its lifetime.
//   - Whether it is whole, whether its handler found the values of outer middleware, and whether
//     Cache-Status and Age are true.
//
// TestBrokenCachesAreCaught runs broken caches; the oracle must find each rule that they break.
// TestHistories also fails if the cache had no chance to break some rule.
package history
