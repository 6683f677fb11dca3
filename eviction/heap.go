package eviction

// heap is a four-ary min-heap of node numbers, ordered by rank. It keeps the ranks beside the
// numbers, so sifting stays within one array: a node is read only when it reaches the top.
type heap []heapEntry

// heapEntry takes twelve bytes; with a uint64 it would take sixteen.
type heapEntry struct {
	high, low uint32 // of the rank
	id        uint32
}

func newHeapEntry(id uint32, rank uint64) heapEntry {
	return heapEntry{high: uint32(rank >> 32), low: uint32(rank), id: id}
}

func (e heapEntry) rank() uint64 { return uint64(e.high)<<32 | uint64(e.low) }

func (h *heap) push(e heapEntry) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if s[parent].rank() <= e.rank() {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

// pop removes the top.
func (h *heap) pop() {
	last := len(*h) - 1
	e := (*h)[last]
	*h = (*h)[:last]
	if last > 0 {
		h.siftDown(0, e)
	}
}

// replaceTop replaces the top with e, which ranks no lower.
func (h heap) replaceTop(e heapEntry) { h.siftDown(0, e) }

// siftDown puts e in place i or below it.
func (h heap) siftDown(i int, e heapEntry) {
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].rank() < h[least].rank() {
				least = c
			}
		}
		if h[least].rank() >= e.rank() {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// filter removes the entries for which keep returns false.
func (h *heap) filter(keep func(id uint32) bool) {
	kept := (*h)[:0]
	for _, e := range *h {
		if keep(e.id) {
			kept = append(kept, e)
		}
	}
	*h = kept
	for i := (len(kept) - 2) / 4; i >= 0 && len(kept) > 1; i-- {
		kept.siftDown(i, kept[i])
	}
}
