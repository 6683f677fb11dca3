// Command soak runs a cache under load and faults, and checks every answer.
//
//	go run ./internal/soak -d 60s -front transport
//
// Clients, two caches on one Storage, proxy and origins are in one process and talk over loopback. Thousands of URLs promise
// all kinds of freshness for a second or two, several users ask for what is made for each, faults come from both sides, purges and
// unsafe requests fall in between, everything is closed and opened again every few seconds, and the memory is too small for it all. The
// exit status is 1 if anything was wrong, or if a rule never had a chance to be broken. The package history looks for what a certain
// order of events brings out, in steps that can be repeated.
//
// # The oracle
//
// The origin numbers its answers: each is an issue, and Cache-Control carries the number, so that every answer a client
// gets, a 304 too, names the issue that made or last validated it. From the issue the oracle knows the URL, the version, the
// variant, the promises, and when the origin gave it; from these, and from its own notes on purges and
// failures, it works out whether that answer was allowed for that request at that moment, byte for byte. It uses
// none of the cache's rules, and none of its clocks:
//
//   - An answer is fresh if the request began before the lifetime was over, counted from when the origin was
//     asked. That is later than any moment the cache may count from, so there is no tolerance.
//   - An answer whose header the cache received after the request had begun may serve that request whatever its
//     freshness, if the cache says that it waited for it. The time of receipt is taken a little before the
//     cache takes its own, which gets a tolerance (collapseSlack).
//   - Stale answers in place of an error, and errors, need a failure of that origin, or of the resource, since the
//     request began. A reader can still join what is about to fail, which gets a tolerance too (troubleSlack).
//
// Beyond that, whose an answer may be, and which of several may follow which:
//
//   - What must be validated before it is used goes to the request that it was given for, or validated for, whoever else waited. A
//     cookie goes to the request that it was set for. What varies goes to those who select alike.
//   - What a client has had out of the cache is not followed by what the origin was asked for before (with dateSlack, where the two
//     overlap), nor is it kept alive by an answer to HEAD without validators.
//   - What is fetched behind the Handler is fetched in the surroundings that the handler has without the cache.
//
// The tolerances are for the scheduling of goroutines on a busy machine and forgive no rule by themselves: with -broken,
// a cache that breaks one rule is built on purpose, and has to be caught.
package main
