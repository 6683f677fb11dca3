package offheap

import "unsafe"

// address returns where the memory of b begins.
//
// It is the only use of unsafe in this package. It is right because the address is only compared
// with others, or with a page size: it never becomes a pointer again, so the collector need not
// know of it. Memory of a mapping does not move, and neither does heap that b keeps alive during
// the call. The slices themselves come from syscall.Mmap and are cut as usual.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// wholePages returns the part of mem that consists of whole pages of the given size, a power of
// two. The system would round a range up, to memory that belongs to others.
func wholePages(mem []byte, size uintptr) []byte {
	skip := -address(mem) & (size - 1)
	if skip >= uintptr(len(mem)) {
		return nil
	}
	return mem[skip : skip+(uintptr(len(mem))-skip)&^(size-1)]
}
