package table

import "sync/atomic"

// segment is an open-addressed hash index with linear probing. A slot holds 32 bits of the hash
// above the number of the node; zero means empty. Readers take no lock: while the segment changes,
// they may overlook an entry that is present, but never find one that is absent.
type segment struct {
	slots atomic.Pointer[[]atomic.Uint64]
	count int
}

const minSlots = 8

// home returns the slot at which the search for hash begins in a segment of n slots. It grows with
// the hash, so a segment can have any length.
func home(hash uint32, n int) int { return int(uint64(hash) * uint64(n) >> 32) }

func (s *segment) insert(hash uint32, id uint32) {
	slots := s.slots.Load()
	// Above a load of four fifths the probes get long. Growing by half keeps the mean load at two
	// thirds.
	if slots == nil || (s.count+1)*5 > len(*slots)*4 {
		slots = s.grow(slots)
	}
	place(*slots, uint64(hash)<<32|uint64(id))
	s.count++
}

func place(slots []atomic.Uint64, slot uint64) {
	i := home(uint32(slot>>32), len(slots))
	for slots[i].Load() != 0 {
		if i++; i == len(slots) {
			i = 0
		}
	}
	slots[i].Store(slot)
}

func (s *segment) grow(old *[]atomic.Uint64) *[]atomic.Uint64 {
	n := minSlots
	if old != nil {
		n = len(*old) * 3 / 2
	}
	slots := make([]atomic.Uint64, n)
	if old != nil {
		for i := range *old {
			if slot := (*old)[i].Load(); slot != 0 {
				place(slots, slot)
			}
		}
	}
	s.slots.Store(&slots)
	return &slots
}

// remove removes the slot of node id, which must be there, and moves the slots after it back, so
// that no search ends too early. Each slot is copied before it is overwritten, so a reader can only
// miss a slot that moves past it.
func (s *segment) remove(hash uint32, id uint32) {
	slots := *s.slots.Load()
	n := len(slots)
	hole := home(hash, n)
	for slots[hole].Load() != uint64(hash)<<32|uint64(id) {
		if hole++; hole == n {
			hole = 0
		}
	}
	for i := hole; ; {
		if i++; i == n {
			i = 0
		}
		slot := slots[i].Load()
		if slot == 0 {
			break
		}
		// A slot may move into the hole unless its home lies after the hole.
		if dist(home(uint32(slot>>32), n), i, n) >= dist(hole, i, n) {
			slots[hole].Store(slot)
			hole = i
		}
	}
	slots[hole].Store(0)
	s.count--
}

// dist returns the number of steps from slot i forward to slot j.
func dist(i, j, n int) int {
	if j < i {
		j += n
	}
	return j - i
}
