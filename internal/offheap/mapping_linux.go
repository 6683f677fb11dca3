//go:build linux && !race

package offheap

import "syscall"

const hasMappings = true

// mapMemory returns a new anonymous mapping, or nil if the system refuses. Its pages become
// resident one by one when they are written.
func mapMemory(n int) []byte {
	mem, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_ANON|syscall.MAP_PRIVATE|syscall.MAP_NORESERVE)
	if err != nil {
		return nil
	}
	// A huge page would become resident as a whole, and again after a part of it was given back.
	_ = syscall.Madvise(mem, syscall.MADV_NOHUGEPAGE)
	return mem
}

func unmapMemory(mem []byte) { _ = syscall.Munmap(mem) }

// systemPage is the size of the system's pages. It is larger than pageSize on some machines.
var systemPage = uintptr(syscall.Getpagesize())

// discardMemory gives the system's pages that lie within mem back to it, and reports whether it
// could. They read as zero afterwards.
func discardMemory(mem []byte) bool {
	mem = wholePages(mem, systemPage)
	return len(mem) == 0 || syscall.Madvise(mem, syscall.MADV_DONTNEED) == nil
}
