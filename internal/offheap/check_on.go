//go:build cirque_check || race

package offheap

import "sync"

const checksFree = true

// filling is what freed memory is filled with.
const filling = 0xdb

// checker finds memory that is freed twice, and makes a use after Free show.
type checker struct {
	mu   sync.Mutex
	live map[uintptr]bool
	held []uint32 // first pages of runs that were freed and are protected, the oldest first
}

// allocated notes an allocation and returns it.
func (c *checker) allocated(b []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live == nil {
		c.live = map[uintptr]bool{}
	}
	c.live[address(b)] = true
	return b
}

// freed fills memory that is about to be freed. Under the race detector this is a write that
// conflicts with every use that is not ordered before it.
func (c *checker) freed(b []byte) {
	c.mu.Lock()
	if !c.live[address(b)] {
		c.mu.Unlock()
		panic("offheap: memory is freed that is not allocated")
	}
	delete(c.live, address(b))
	c.mu.Unlock()
	b = fullSlice(b)
	for i := range b {
		b[i] = filling
	}
}
