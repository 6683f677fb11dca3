// Package eviction decides which entries leave a full cache. Its policies implement
// [cirque.EvictionManager]; [New] makes one by name.
//
// # Policies
//
// [GDSF] is the default: it weighs use against size. [S3FIFO] and [SIEVE] are two simple policies that do much better than
// LRU; [LRU], [SimpleLRU] and [FIFO] are what one expects. Only GDSF looks at freshness and, if asked to, at costs. How they
// compare is measured in docs/eviction.md.
//
// # The limit
//
// Every policy has one limit in bytes over all its entries, and may have one on their number. Room is reserved before an entry is
// tracked, so the limits hold at every moment, whatever runs at the same time. The exception is Access: a key that it
// does not know is there already, and is tracked in any case; the next call that may evict makes up for it.
//
// # Concurrency
//
// All methods are safe for concurrent use. Except in LRU and SimpleLRU, a hit takes no lock. Nothing outside of the package is called
// with a lock held.
//
// # Memory
//
// A tracked entry takes 80 to 110 bytes without pointers, so that the garbage collector does not notice how many there are. A user
// tag is kept once, however many entries have it. Memory grows with the number of entries and is used again, but not given back
// before the manager is.
package eviction
