// Command soak runs a cache under load and faults, and checks every answer.
//
//	go run ./internal/verify/soak -d 60s -front transport
//
// Clients, two caches on one Storage, a proxy and the origins are in one process and talk over
// loopback. Thousands of URLs have lifetimes of a second or two, some with content for one user
// each. Clients and origins misbehave. Purges and unsafe requests come in between. The caches and
// the Storage are closed and opened again every few seconds, and the memory is too small for all
// responses. The exit status is 1 if a rule was broken, or if a rule had no chance to be broken.
// The package history checks similar rules with histories that can be repeated.
//
// # The oracle
//
// The origin numbers its answers: each is an issue, and Cache-Control carries the number, so that
// every answer a client gets, a 304 too, names the issue that made or last validated it. From the
// issue the oracle knows the URL, the version, the variant, the promises, and when the origin gave
// it; from these, and from its own notes on purges and failures, it works out whether that answer
// was allowed for that request at that moment, byte for byte. It uses none of the cache's rules,
// and none of its clocks:
//
//   - An answer is fresh if the request began before the lifetime was over, counted from when the origin was
//     asked. That is later than any moment the cache may count from, so there is no tolerance.
//   - An answer whose header the cache received after the request had begun may serve that request whatever its
//     freshness, if the cache says that it waited for it and the origin granted some at all. The time of
//     receipt is taken a little before the cache takes its own, which gets a tolerance (collapseSlack).
//   - Stale answers in place of an error, and errors, need a failure of that origin, or of the resource, since the
//     request began. A reader can still join what is about to fail, which gets a tolerance too (troubleSlack).
//
// The oracle also checks whose an answer is, and which of two responses is the more recent:
//
//   - A response that needs validation goes only to the request that fetched or validated it. A cookie
//     goes only to the request that it was set for.
//   - After a hit proved that a response is stored, no older one is served. If the two exchanges
//     overlap, Date decides, with dateSlack. A HEAD response without validators freshens nothing.
//   - The handler behind the Handler door finds the values of outer middleware in its context, also
//     in a background refresh.
//
// The tolerances are for the scheduling of goroutines on a busy machine and forgive no rule by
// themselves: with -broken, a cache that breaks one rule is built on purpose, and has to be caught.
package main
