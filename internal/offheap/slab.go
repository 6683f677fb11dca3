package offheap

import (
	"fmt"
	"iter"
	"math/bits"
)

// A slab is a run of slabSlots slots of one size. The sizes are multiples of 512 bytes, so that the
// slots fill the run. A slot is at most an eighth larger than what is in it.
//
// Free slots stay resident like free runs. When there are too many, the free slots of a slab become
// hollow: the pages that lie within them go back to the system. Otherwise one slot in use could
// keep eight resident, after a cache has become smaller.
const (
	slabSlots = 8
	maxSlot   = 32 << 10

	classes = 24
)

// classOf returns the class of slots for n bytes: more than maxSmall, at most maxSlot.
func classOf(n int) int {
	switch {
	case n <= 8<<10: // 4.5 to 8 KiB
		return (n - 4<<10 - 1) / 512
	case n <= 16<<10: // 9 to 16 KiB
		return 8 + (n-8<<10-1)/1024
	}
	return 16 + (n-16<<10-1)/2048 // 18 to 32 KiB
}

// slotSize returns the size of the slots of a class.
func slotSize(class int) int {
	switch {
	case class < 8:
		return 4<<10 + (class+1)*512
	case class < 16:
		return 8<<10 + (class-7)<<10
	}
	return 16<<10 + (class-15)<<11
}

// allocateSlot returns nil if the system refuses more memory. Called with mu held.
func (m *Memory) allocateSlot(class, n int) []byte {
	// The lists hold numbers of pages plus one, so that the zero value is an empty list.
	if m.slabs[class] == 0 {
		at, ok := m.takeRun(slabSlots * slotSize(class) / pageSize)
		if !ok {
			return nil
		}
		p := m.regions.page(at)
		p.kind, p.class, p.taken, p.hollow, p.next, p.prev = slabRun, uint8(class), 0, 0, noPage, noPage
		m.freeSlots += slabSlots * slotSize(class)
		for i := uint32(1); i < p.n; i++ {
			*m.regions.page(at + i) = page{back: uint8(i)}
		}
		m.slabs[class] = at + 1
	}
	at := m.slabs[class] - 1
	p := m.regions.page(at)
	free := ^p.taken
	if resident := free &^ p.hollow; resident != 0 {
		free = resident
		m.freeSlots -= slotSize(class)
	}
	slot := bits.TrailingZeros8(free)
	p.taken |= 1 << slot
	m.setHollow(p, p.hollow&^(1<<slot))
	if p.taken == 1<<slabSlots-1 {
		m.unlistSlab(at)
	}
	return m.regions.bytes(at, slot*slotSize(class), n)
}

// freeSlot frees the slot at offset of the slab at page at. Called with mu held.
func (m *Memory) freeSlot(at uint32, offset int) {
	p := m.regions.page(at)
	size := slotSize(int(p.class))
	slot := offset / size
	if offset%size != 0 || p.taken&(1<<slot) == 0 {
		panic(fmt.Sprintf("offheap: memory is freed that is not allocated (offset %d in a slab of %d)", offset, size))
	}
	full := p.taken == 1<<slabSlots-1
	p.taken &^= 1 << slot
	m.freeSlots += size
	switch {
	case p.taken == 0:
		m.freeSlots -= bits.OnesCount8(^p.hollow) * size
		m.setHollow(p, 0)
		if !full {
			m.unlistSlab(at)
		}
		for i := uint32(1); i < p.n; i++ {
			*m.regions.page(at + i) = page{}
		}
		m.freeRun(at)
	case full:
		first := m.slabs[p.class]
		p.next, p.prev = noPage, noPage
		if first != 0 {
			p.next = first - 1
			m.regions.page(first - 1).prev = at
		}
		m.slabs[p.class] = at + 1
	}
	if p.kind == slabRun && m.freeSlots > m.slack()*pageSize {
		m.hollowOut(at)
	}
}

// hollowOut gives the pages that lie within free slots of a slab back to the system. Called with mu
// held.
func (m *Memory) hollowOut(at uint32) {
	p := m.regions.page(at)
	size := slotSize(int(p.class))
	m.freeSlots -= bits.OnesCount8(^p.taken&^p.hollow) * size
	for from, to := range freePages(^p.taken, size) {
		discardMemory(fullSlice(m.regions.bytes(at, from*pageSize, (to-from)*pageSize)))
	}
	m.setHollow(p, ^p.taken)
}

// setHollow is called with mu held.
func (m *Memory) setHollow(p *page, hollow uint8) {
	if p.hollow == hollow {
		return
	}
	size := slotSize(int(p.class))
	for from, to := range freePages(p.hollow, size) {
		m.hollowPages -= to - from
	}
	p.hollow = hollow
	for from, to := range freePages(p.hollow, size) {
		m.hollowPages += to - from
	}
}

// freePages yields the ranges of pages in a slab that lie within the slots of a set.
func freePages(slots uint8, size int) iter.Seq2[int, int] {
	return func(yield func(from, to int) bool) {
		for rest := uint16(slots); rest != 0; {
			first := bits.TrailingZeros16(rest)
			end := first + bits.TrailingZeros16(^(rest >> first))
			rest = rest >> end << end
			from, to := (first*size+pageSize-1)/pageSize, end*size/pageSize
			if from < to && !yield(from, to) {
				return
			}
		}
	}
}

// unlistSlab takes a slab out of the list of those with a free slot. Called with mu held.
func (m *Memory) unlistSlab(at uint32) {
	p := m.regions.page(at)
	if p.prev == noPage {
		m.slabs[p.class] = p.next + 1 // none: noPage + 1 is zero
	} else {
		m.regions.page(p.prev).next = p.next
	}
	if p.next != noPage {
		m.regions.page(p.next).prev = p.prev
	}
	p.next, p.prev = noPage, noPage
}
