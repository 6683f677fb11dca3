// Package eviction decides which entries leave a full cache. Its policies implement
// [cirque.EvictionManager]; [New] makes one by name.
//
// # Policies
//
// [GDSF] is the default: it weighs use against size. [S3FIFO] and [SIEVE] are two simple policies
// that do much better than LRU. [LRU], [SimpleLRU] and [FIFO] are the classic policies. Only GDSF
// considers freshness and, if configured, costs. docs/eviction.md compares all of them by
// measurement.
//
// # The limit
//
// Every policy has one limit in bytes over all its entries, and may have a limit on their number.
// Room is reserved before an entry is tracked, so the limits hold at every moment, even under
// concurrent use. Access is the exception: the entry of an unknown key is in the cache already, so
// Access always tracks it, even beyond a limit. The next call that may evict then evicts until the
// limits hold again.
//
// # Concurrency
//
// All methods are safe for concurrent use. A hit takes no lock, except in LRU and SimpleLRU. The
// package holds no lock when it calls code of other packages.
//
// # Memory
//
// A tracked entry takes 80 to 110 bytes without pointers, so the garbage collector does not notice
// how many there are. A user tag is kept once, however many entries have it. Memory grows with the
// number of entries. It is reused, but it is given back only with the manager.
//
// # Files
//
// Calls between the files run down this list.
//
//	new.go          New, Names and the list of policies
//	gdsf.go         GDSF and its settings
//	s3fifo.go       S3FIFO and its order
//	sieve.go        SIEVE and its order
//	fifo.go         FIFO, and the order of admission, which SIEVE shares
//	lru.go          LRU and its settings
//	simple_lru.go   SimpleLRU, and the order of last use, which LRU shares
//	admit.go        the calls that may evict: Admit, IncrementWeight, Evict
//	save.go         Save and Load
//	uses.go         how often an entry was used, for people
//	manager.go      the part that all policies share: shards, hits, tracking, totals
//	departures.go   what was evicted or declined, and EvictionStats
//	config.go       the settings that all policies share
//	priority.go     GDSF's order
//	heap.go         the heap of GDSF's order
//	order.go        the interface between the manager and a policy
//	ledger.go       the totals of a manager, and its limits
//	list.go         a linked list of nodes
//	tags.go         the user tags of entries, by number
//	internal/ghost  the use counts of evicted entries
//	internal/state  the files that Save writes
//	internal/table  the tracked entries and their index
package eviction
