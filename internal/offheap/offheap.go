// Package offheap allocates memory that the garbage collector neither scans nor counts.
//
// By default the collector lets the heap double before it collects. A cache is nearly all
// long-lived bytes, so its process would take twice its limit. A [Memory] gets its bytes from
// anonymous mappings instead. The price is that somebody must free each allocation, once, and after
// its last use.
//
// # Structure
//
// A Memory reserves regions of address space. A region is divided into pages of 4 KiB, and a run is
// some consecutive pages. A large allocation is a run. A small one is a slot of a slab, which is a
// run of eight slots of one size. See run.go and slab.go.
//
// Free runs, and free slots, stay resident for the next allocation. When there are more of one kind
// than a 64th of what is in use, the largest runs, or the slots of the slab, go back to the system.
// The addresses stay reserved, so fragmentation takes address space and no memory.
//
// # Where there are no mappings
//
// On other systems than Linux, under the race detector, which does not see mappings, and where the
// system refuses a mapping, the memory is heap, and Free leaves it to the collector. So is an
// allocation of 4 KiB or less.
//
// # Finding misuse
//
// With the build tag cirque_check, Free fills the memory with a pattern and protects it, so that a
// later use faults at once. The memory is not reused for long. Under the race detector, Free fills
// the memory, so that the detector reports a use at the same time. In both, Free panics for what
// was freed before; without them it does so where it notices.
package offheap

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque/internal/unzeroed"
)

const (
	pageBits = 12
	pageSize = 1 << pageBits

	// maxSmall is the largest allocation that is always heap. Most of these are for a moment only.
	maxSmall = 4 << 10

	// maxAlloc is the largest allocation from a mapping. A larger one is heap.
	maxAlloc = regionPages * pageSize
)

// Memory allocates and frees memory. It is safe for concurrent use. When it is unreachable, all its
// mappings are removed: whoever uses an allocation must keep the Memory reachable. Use New.
type Memory struct {
	heap bool // nothing comes from mappings

	mu      sync.Mutex
	regions regions
	slabs   [classes]uint32 // by class: the first slab with a free slot
	used    int             // pages in runs that are allocated

	freeSlots   int // bytes of free slots that are not hollow
	hollowPages int // within hollow slots

	check checker

	usedBytes, freeBytes atomic.Int64 // see Stats
}

// Stats says what a Memory holds, in bytes.
type Stats struct {
	Used int64 // allocated, with what allocations round up to and the resident free slots of slabs
	Free int64 // free and resident
}

// New returns a Memory. If heap is true, all its memory is heap.
func New(heap bool) *Memory {
	m := &Memory{heap: heap || !hasMappings}
	m.regions.init()
	if !m.heap {
		runtime.AddCleanup(m, (*mappings).remove, m.regions.mappings)
	}
	return m
}

// OnHeap reports whether all memory is heap, which the garbage collector counts.
func (m *Memory) OnHeap() bool { return m.heap }

// Stats returns what m holds now; zero where the memory is heap.
func (m *Memory) Stats() Stats { return Stats{Used: m.usedBytes.Load(), Free: m.freeBytes.Load()} }

// Size returns how many bytes an allocation of n bytes takes, at least n. An allocation of that
// size takes no more.
func (m *Memory) Size(n int) int {
	switch {
	case m.isHeap(n):
		return n
	case n <= maxSlot:
		return slotSize(classOf(n))
	}
	return (n + pageSize - 1) &^ (pageSize - 1)
}

// Alloc returns an empty slice of capacity n, which must be at least one. The memory beyond its
// length holds arbitrary old bytes, so only appended bytes may be shown to others. The caller owns
// the memory until it calls Free.
func (m *Memory) Alloc(n int) []byte {
	if m.isHeap(n) {
		return m.check.allocated(unzeroed.Make(n))
	}
	m.mu.Lock()
	b := m.allocate(n)
	m.count()
	m.mu.Unlock()
	if b == nil {
		b = unzeroed.Make(n) // the system refused a mapping
	}
	return m.check.allocated(b)
}

func (m *Memory) isHeap(n int) bool { return m.heap || n <= maxSmall || n > maxAlloc }

// allocate returns nil if the system refuses a mapping. Called with mu held.
func (m *Memory) allocate(n int) []byte {
	if n <= maxSlot && !checking {
		return m.allocateSlot(classOf(n), n)
	}
	at, ok := m.takeRun((n + pageSize - 1) >> pageBits)
	if !ok {
		return nil
	}
	return m.regions.bytes(at, 0, n)
}

// Free takes back what Alloc returned: b has the same capacity, and any length. Nobody may use the
// memory any more. It panics if the memory is free already.
func (m *Memory) Free(b []byte) {
	if cap(b) == 0 {
		return
	}
	m.check.freed(b)
	if m.isHeap(cap(b)) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at, offset, ok := m.regions.find(b)
	if !ok {
		return // heap
	}
	switch p := m.regions.page(at); {
	case p.kind == usedRun && offset == 0:
		m.freeRun(at)
	case p.kind == slabRun:
		m.freeSlot(at, offset)
	default:
		panic(fmt.Sprintf("offheap: memory is freed that is not allocated (page kind %d)", p.kind))
	}
	m.giveBack(m.slack())
	m.count()
}

func (m *Memory) count() {
	m.usedBytes.Store(int64(m.used-m.hollowPages) * pageSize)
	m.freeBytes.Store(int64(m.regions.dirty.pages) * pageSize)
}
