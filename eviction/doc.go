// Package eviction decides which entries leave a full cache. Its policies implement
// [cirque.EvictionManager]; [New] makes one by name.
//
// All methods are safe for concurrent use. No lock is held while anything outside of the package runs.
package eviction
