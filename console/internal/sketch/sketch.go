// Package sketch finds the most frequent of many keys in bounded memory.
package sketch

import (
	"cmp"
	"container/heap"
	"slices"
)

// Top finds the keys with the largest sums among any number of keys. It keeps a fixed number of
// counters: a key that has none takes the smallest counter, with its count (the space-saving
// algorithm: Metwally, Agrawal and El Abbadi, Efficient Computation of Frequent and Top-k Elements
// in Data Streams, ICDT 2005).
//
// With c counters, a count is too large by at most a c-th of the sum of all that was added, and
// each key with more than that has a counter. Top is not safe for concurrent use.
type Top struct {
	capacity int
	byKey    map[string]*counter
	smallest counters
	total    uint64
}

// Item is a key with its count, which is at most Error too large.
type Item struct {
	Key          string
	Count, Error uint64
}

// New returns a Top with so many counters, at least one.
func New(counters int) *Top {
	counters = max(counters, 1)
	return &Top{capacity: counters, byKey: make(map[string]*counter)}
}

// Add adds n to the sum of key.
func (t *Top) Add(key string, n uint64) {
	if n == 0 {
		return
	}
	t.total += n
	if c := t.byKey[key]; c != nil {
		c.Count += n
		heap.Fix(&t.smallest, c.index)
		return
	}
	if len(t.smallest) < t.capacity {
		c := &counter{Item: Item{Key: key, Count: n}}
		t.byKey[key] = c
		heap.Push(&t.smallest, c)
		return
	}
	c := t.smallest[0]
	delete(t.byKey, c.Key)
	c.Key, c.Error = key, c.Count
	c.Count += n
	t.byKey[key] = c
	heap.Fix(&t.smallest, 0)
}

// Len returns how many counters are in use.
func (t *Top) Len() int { return len(t.smallest) }

// Total returns the sum of all that was added.
func (t *Top) Total() uint64 { return t.total }

// Merge returns the n keys with the largest sums in all of these together, the largest first.
func Merge(n int, all ...*Top) []Item {
	sums := make(map[string]Item)
	for _, t := range all {
		for key, c := range t.byKey {
			sum := sums[key]
			sums[key] = Item{Key: key, Count: sum.Count + c.Count, Error: sum.Error + c.Error}
		}
	}
	items := make([]Item, 0, len(sums))
	for _, item := range sums {
		items = append(items, item)
	}
	slices.SortFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return items[:min(n, len(items))]
}

type counter struct {
	Item
	index int // in the heap
}

// counters is a heap whose first element has the smallest count.
type counters []*counter

// Len implements heap.Interface.
func (h counters) Len() int { return len(h) }

// Less implements heap.Interface.
func (h counters) Less(i, j int) bool { return h[i].Count < h[j].Count }

// Swap implements heap.Interface.
func (h counters) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push implements heap.Interface.
func (h *counters) Push(x any) {
	c := x.(*counter)
	c.index = len(*h)
	*h = append(*h, c)
}

// Pop implements heap.Interface. It is never called.
func (h *counters) Pop() any {
	last := len(*h) - 1
	c := (*h)[last]
	*h = (*h)[:last]
	return c
}
