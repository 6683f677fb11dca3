// Package history tests a cache with random histories, by a model. It has tests only.
//
//	go test ./internal/history                          a few hundred histories, always the same ones
//	go test ./internal/history -histories 20000 -seed 7 as many others
//	go test ./internal/history -run TestHistories -histories 1 -seed 4711 -v
//
// A history is a list of steps, drawn from a seed: several users ask two caches on one Storage for a few resources, often at
// once; the content changes; bodies are slow, so that older responses complete after newer ones; clients reload, ask with HEAD,
// leave; purges of every kind and unsafe requests fall in between; everything is closed and opened again on the same directory.
// It runs in a bubble of testing/synctest, where time costs nothing and every step has an instant of its own, so that the same
// seed gives the same history again. A history that shows a violation is cut down to the steps that it takes, and printed.
//
// # The oracle
//
// The origin numbers its answers: each is an issue. X-Issue names the issue that made or last validated a response, and the first
// line of a body names the issue that the body comes from. From these two and from the steps, never from the rules or the clocks
// of the cache, the oracle knows about each answer:
//
//   - whose it is: what was made for one request goes to another only if the origin allowed reuse without validation, or
//     validated it for that other request; what varies goes only to requests whose fields have the values that the origin saw;
//     Set-Cookie goes only to the request that it was made for.
//   - how old it is: within its lifetime or an allowed staleness; not older than a response that was asked for later, and stored;
//     not from before a purge of any kind, through either cache, before or after a restart; not kept alive by an answer to HEAD
//     that has no validators.
//   - whether it is whole, made in the surroundings that its handler needs, and whether Cache-Status and Age are true.
//
// Caches that break one of these rules on purpose have to be caught, and a run in which a rule never had a chance to be broken
// fails.
package history
