package offheap

import (
	"math/bits"
	"slices"
)

// exactBins is up to how many pages free runs of one length have a list of their own. The longer
// ones share a list.
const exactBins = 256

// freeRuns are the free runs of one kind, in lists by length. Its methods are called with the lock
// of the Memory held.
type freeRuns struct {
	first [exactBins + 1]uint32
	some  [exactBins/64 + 1]uint64 // a bit for each list that is not empty
	pages int
}

func (f *freeRuns) init() {
	for i := range f.first {
		f.first[i] = noPage
	}
}

func (r *regions) init() {
	r.dirty.init()
	r.clean.init()
	r.mappings = new(mappings)
}

// bin returns the list for runs of n pages.
func bin(n uint32) int { return int(min(n, exactBins+1)) - 1 }

func (r *regions) free(k kind) *freeRuns {
	if k == dirtyRun {
		return &r.dirty
	}
	return &r.clean
}

// release makes a run of n pages a free run of kind k, joined with its neighbours of that kind.
func (r *regions) release(at, n uint32, k kind) {
	first := at &^ (regionPages - 1)
	if at > first {
		if before := r.page(at - 1); before.kind == k {
			at -= before.n
			n += before.n
			r.remove(at)
		}
	}
	if end := at + n; end-first < uint32(len(r.all[at>>regionBits].pages)) {
		if after := r.page(end); after.kind == k {
			n += after.n
			r.remove(end)
		}
	}
	*r.page(at + n - 1) = page{kind: k, n: n}
	f := r.free(k)
	list := bin(n)
	next := f.first[list]
	*r.page(at) = page{kind: k, n: n, next: next, prev: noPage}
	if next != noPage {
		r.page(next).prev = at
	}
	f.first[list] = at
	f.some[list/64] |= 1 << (list % 64)
	f.pages += int(n)
}

// remove takes a free run out of its list. Its pages are those of no run then.
func (r *regions) remove(at uint32) {
	p := *r.page(at)
	f := r.free(p.kind)
	list := bin(p.n)
	if p.prev == noPage {
		f.first[list] = p.next
	} else {
		r.page(p.prev).next = p.next
	}
	if p.next != noPage {
		r.page(p.next).prev = p.prev
	}
	if f.first[list] == noPage {
		f.some[list/64] &^= 1 << (list % 64)
	}
	f.pages -= int(p.n)
	*r.page(at + p.n - 1) = page{}
	*r.page(at) = page{}
}

// fit returns the shortest free run of kind k with at least n pages, or noPage.
func (r *regions) fit(n uint32, k kind) uint32 {
	f := r.free(k)
	list := bin(n)
	word := f.some[list/64] >> (list % 64) << (list % 64)
	for i := list / 64; ; word = f.some[i] {
		if word != 0 {
			list = i*64 + bits.TrailingZeros64(word)
			break
		}
		if i++; i == len(f.some) {
			return noPage
		}
	}
	at := f.first[list]
	for at != noPage && r.page(at).n < n { // only in the list of the longest
		at = r.page(at).next
	}
	return at
}

// longest returns one of the longest free runs of kind k, or noPage.
func (r *regions) longest(k kind) uint32 {
	f := r.free(k)
	for i := len(f.some) - 1; i >= 0; i-- {
		if f.some[i] != 0 {
			return f.first[i*64+63-bits.LeadingZeros64(f.some[i])]
		}
	}
	return noPage
}

// add reserves another region for at least n pages. It reports false if the system refuses.
func (r *regions) add(n int) bool {
	pages := regionPages
	if len(r.all) < 2 {
		pages = max(n, regionPages>>(4-2*len(r.all))) // 4 MiB, 16 MiB, then 64 MiB
	}
	mem := r.mappings.add(pages * pageSize)
	if mem == nil {
		return false
	}
	number := len(r.all)
	r.all = append(r.all, region{mem: mem, pages: make([]page, pages)})
	i, _ := slices.BinarySearchFunc(r.order, address(mem), func(i int, at uintptr) int { return compare(address(r.all[i].mem), at) })
	r.order = slices.Insert(r.order, i, number)
	r.release(uint32(number)<<regionBits, uint32(pages), cleanRun)
	return true
}

// takeRun returns the first page of an allocated run of n pages. It prefers resident ones. It
// reports false if the system refuses more memory. Called with mu held.
func (m *Memory) takeRun(n int) (at uint32, ok bool) {
	r := &m.regions
	if at = r.fit(uint32(n), dirtyRun); at == noPage {
		if at = r.fit(uint32(n), cleanRun); at == noPage {
			if !r.add(n) {
				return 0, false
			}
			at = r.fit(uint32(n), cleanRun)
		}
	}
	p := *r.page(at)
	r.remove(at)
	if rest := p.n - uint32(n); rest > 0 {
		r.release(at+uint32(n), rest, p.kind)
	}
	*r.page(at) = page{kind: usedRun, n: uint32(n)}
	m.used += n
	return at, true
}

// freeRun is called with mu held.
func (m *Memory) freeRun(at uint32) {
	n := m.regions.page(at).n
	*m.regions.page(at) = page{}
	m.used -= int(n)
	if checking {
		m.hold(at, n)
		return
	}
	m.regions.release(at, n, dirtyRun)
}

// slack returns how many free pages may stay resident. Called with mu held.
func (m *Memory) slack() int { return max(m.used/64, minSlack) }

// minSlack is the slack of a Memory with little in use, in pages.
const minSlack = 2 << 20 / pageSize

// giveBack gives free runs back to the system, the longest first, if more than limit pages are
// resident, until half as many are. Called with mu held.
func (m *Memory) giveBack(limit int) {
	r := &m.regions
	if r.dirty.pages <= limit {
		return
	}
	for r.dirty.pages > limit/2 {
		at := r.longest(dirtyRun)
		n := r.page(at).n
		r.remove(at)
		k := cleanRun
		if !discardMemory(fullSlice(r.bytes(at, 0, int(n)*pageSize))) {
			k = dirtyRun
		}
		r.release(at, n, k)
		if k == dirtyRun {
			return
		}
	}
}

func fullSlice(b []byte) []byte { return b[:cap(b)] }
