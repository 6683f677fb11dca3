//go:build linux && cirque_check && !race

package offheap

import "syscall"

// checking says that each allocation is a run of its own, which Free protects.
const checking = true

// maxHeld is how many freed runs stay protected. Each can be a mapping of its own for the system,
// which allows some 65,000.
const maxHeld = 4096

// hold protects a freed run of n pages. When too many are, the oldest can be used again. Called
// with mu held.
func (m *Memory) hold(at, n uint32) {
	*m.regions.page(at) = page{kind: heldRun, n: n}
	if !protectMemory(fullSlice(m.regions.bytes(at, 0, int(n)*pageSize)), true) {
		panic("offheap: memory cannot be protected")
	}
	m.check.held = append(m.check.held, at)
	if len(m.check.held) <= maxHeld {
		return
	}
	at = m.check.held[0]
	m.check.held = m.check.held[1:]
	n = m.regions.page(at).n
	if !protectMemory(fullSlice(m.regions.bytes(at, 0, int(n)*pageSize)), false) {
		panic("offheap: memory cannot be used again")
	}
	m.regions.release(at, n, dirtyRun)
}

// protectMemory makes every use of the system's pages within mem a fault, or ends that.
func protectMemory(mem []byte, protect bool) bool {
	if mem = wholePages(mem, systemPage); len(mem) == 0 {
		return true
	}
	access := syscall.PROT_READ | syscall.PROT_WRITE
	if protect {
		access = syscall.PROT_NONE
	}
	return syscall.Mprotect(mem, access) == nil
}
