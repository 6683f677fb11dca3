package offheap

import (
	"slices"
	"sync"
)

// A region has at most regionPages pages. Pages have numbers: that of the region times regionPages,
// and that of the page in the region.
const (
	regionBits  = 14
	regionPages = 1 << regionBits
)

// kind says what a run is used for. It is kept at the first page of the run, and for free runs at
// the last one as well.
type kind uint8

const (
	inRun    kind = iota // not the first page of its run
	usedRun              // one allocation
	slabRun              // slots
	dirtyRun             // free and resident
	cleanRun             // free and not resident
	heldRun              // freed and protected; only with cirque_check
)

// page is what is known of a page. A page that is not the first or last one of its run has only
// back.
type page struct {
	n          uint32 // pages in the run; valid at its first page, and at the last one of a free run
	next, prev uint32 // in the list of the run; noPage: none
	kind       kind
	class      uint8 // of a slab
	taken      uint8 // of a slab: a bit for each slot in use
	hollow     uint8 // of a slab: a bit for each free slot whose pages went back to the system
	back       uint8 // in a slab: distance to its first page
}

// noPage is the number of no page.
const noPage = 1<<32 - 1

// region is one mapping.
type region struct {
	mem   []byte
	pages []page
}

// regions are those of a Memory, with their free runs. Its methods are called with its lock held.
type regions struct {
	all          []region
	order        []int // indexes of all, by address
	dirty, clean freeRuns
	mappings     *mappings
}

func (r *regions) page(at uint32) *page { return &r.all[at>>regionBits].pages[at%regionPages] }

// bytes returns n bytes from offset on of the run that starts at page at, as an empty slice.
func (r *regions) bytes(at uint32, offset, n int) []byte {
	from := int(at%regionPages)*pageSize + offset
	return r.all[at>>regionBits].mem[from : from : from+n]
}

// find returns the first page of the run that b is in, and the offset of b in that run. ok is false
// for memory that is in no region.
func (r *regions) find(b []byte) (at uint32, offset int, ok bool) {
	where := address(b)
	i, exact := slices.BinarySearchFunc(r.order, where, func(i int, at uintptr) int { return compare(address(r.all[i].mem), at) })
	if !exact {
		i--
	}
	if i < 0 {
		return 0, 0, false
	}
	number := r.order[i]
	offset = int(where - address(r.all[number].mem))
	if offset >= len(r.all[number].mem) {
		return 0, 0, false
	}
	at = uint32(number)<<regionBits + uint32(offset>>pageBits)
	offset %= pageSize
	if back := uint32(r.page(at).back); back > 0 {
		at -= back
		offset += int(back) * pageSize
	}
	return at, offset, true
}

func compare(a, b uintptr) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// mappings are those of a Memory. They are an object of their own because they are removed when the
// Memory is unreachable.
type mappings struct {
	mu  sync.Mutex
	all [][]byte
}

// add returns a new mapping of n bytes, or nil if the system refuses.
func (m *mappings) add(n int) []byte {
	mem := mapMemory(n)
	if mem == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, mem)
	return mem
}

func (m *mappings) remove() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mem := range m.all {
		unmapMemory(mem)
	}
	m.all = nil
}
