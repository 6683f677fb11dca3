package memcache

import "unsafe"

// This file has every use of unsafe in this package.

// text returns b as a string. b is the memory that a hit has copied its meta into. That is heap,
// which the string keeps alive like any other, and it never changes again.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// recordsIn returns b as records, which are zero. b has the size of a chunk, and a record has no
// pointers, so the collector need not look at it. An allocation of that size is aligned for a
// record, in a mapping as on the heap. The caller keeps the Memory of b reachable.
func recordsIn(b []byte) *[recordsPerChunk]record {
	chunk := (*[recordsPerChunk]record)(unsafe.Pointer(unsafe.SliceData(b)))
	*chunk = [recordsPerChunk]record{}
	return chunk
}

// chunkSize is the size of a chunk of records.
const chunkSize = int(unsafe.Sizeof([recordsPerChunk]record{}))

// slotsIn returns b, of five times n bytes, as the two parts of an index of n slots, which are
// free. n is at least minSlots. The numbers come first, because they must be aligned. For the rest
// see recordsIn.
func slotsIn(b []byte, n int) (marks []uint8, numbers []uint32) {
	clear(b)
	return b[4*n : 5*n], unsafe.Slice((*uint32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
