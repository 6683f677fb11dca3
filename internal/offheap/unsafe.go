package offheap

import "unsafe"

// address returns where the memory of b begins.
//
// It is the only use of unsafe in this package. It is right because the address is only compared
// with those of the mappings: it never becomes a pointer again, so the collector need not know of
// it. Memory of a mapping does not move, and neither does heap that b keeps alive during the call.
// The slices themselves come from syscall.Mmap and are cut as usual.
func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }
