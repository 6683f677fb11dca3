package cirque

import (
	"slices"
	"sync"
)

// inFlight knows the slots into which something is on its way: a fill, a vary record, a validated meta. Not
// every Storage shows what it does not have yet, and one write can hide another.
//
// INVARIANT: who writes enters the slot before asking the purgeLog, and leaves it when the Storage has what
// was written. Who purges enters the purge into the log before asking here. So one of them knows of the
// other.
type inFlight struct {
	mu struct {
		sync.Mutex
		slots map[HashBinary][]HashBinary // variances by primary hash; one for each writer
	}
}

// enter notes a writer to key's slot.
func (f *inFlight) enter(key CacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.slots == nil {
		f.mu.slots = make(map[HashBinary][]HashBinary)
	}
	f.mu.slots[key.primaryHash] = append(f.mu.slots[key.primaryHash], key.variance)
}

// leave ends what enter began.
func (f *inFlight) leave(key CacheKey) {
	f.mu.Lock()
	defer f.mu.Unlock()
	slots := f.mu.slots[key.primaryHash]
	if len(slots) == 1 {
		delete(f.mu.slots, key.primaryHash)
		return
	}
	i := slices.Index(slots, key.variance)
	f.mu.slots[key.primaryHash] = slices.Delete(slots, i, i+1)
}

// of returns the variances of the slots of key's resource into which something is on its way: zero for the
// primary slot.
func (f *inFlight) of(key CacheKey) []HashBinary {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.mu.slots[key.primaryHash])
}
