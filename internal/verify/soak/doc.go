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
// Each answer of the origin is an issue and has a number. Cache-Control carries the number, so
// every answer to a client, a 304 too, names the issue that made it or validated it last. The
// oracle knows of each issue the URL, the version, the variant, the promises, and the time when the
// origin gave it. It also records all purges and failures. From these it decides whether an answer
// was allowed for its request at that moment, byte for byte. It uses none of the cache's rules and
// clocks:
//
//   - An answer is fresh if the request began before the end of the lifetime. The lifetime
//     counts from the time when the request reached the origin. That is later than any time that
//     the cache may count from, so this rule needs no tolerance.
//   - An answer whose header reached the cache after the request began may serve that request even
//     if it is stale now. The cache must say that the request waited for it, and the origin must
//     have granted a lifetime. The oracle takes the time of receipt a little before the cache does;
//     collapseSlack allows for that.
//   - An error, or a stale answer in place of an error, needs a failure of the origin or of the
//     resource since the request began. A request can still join a fetch that is about to fail;
//     troubleSlack allows for that.
//
// The oracle also checks which client may have an answer, and which of two responses is more
// recent:
//
//   - A response that needs validation goes only to the request that fetched or validated it. A
//     cookie goes only to the request that it was set for.
//   - After a hit proved that a response is stored, no older one is served. If the two exchanges
//     overlap, Date decides, with dateSlack. A HEAD response without validators freshens nothing.
//   - The handler behind the Handler door finds the values of outer middleware in its context, also
//     in a background refresh.
//
// The tolerances allow for the scheduling of goroutines on a busy machine. They do not hide broken
// rules: -broken builds a cache that breaks one rule, and the oracle must find it.
package main
