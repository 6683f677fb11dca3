package diskcache

import (
	"encoding/binary"
	"math/bits"

	"github.com/cirquecache/cirque"
)

// record is what the index knows about one entry. It takes 32 bytes and has no pointer, so ten
// million records are no work for the garbage collector.
type record struct {
	hash   cirque.HashBinary // combined; names the file
	stamp  uint64            // of the file when this process found its whole body intact; zero: it did not
	blocks uint32            // of the file; zero marks an unused slot
	flags  recordFlags
}

type recordFlags uint32

const (
	// flagSeen: the file is known to exist, and not only from a saved index.
	flagSeen recordFlags = 1 << iota
	// flagPurged: the entry was purged, but the disk refused to remove the file. It is a miss.
	flagPurged
	// flagUncounted: the file is not counted in the budget.
	flagUncounted
)

// weight returns the bytes that the budget counts for the entry.
func (r *record) weight() int64 {
	if r.blocks == 0 || r.flags&flagUncounted != 0 {
		return 0
	}
	return weightOf(r.blocks)
}

// table is an open-addressing hash table of records with linear probing. The keys are cryptographic
// hashes, so their bits are used directly.
//
// It grows by a fifth when it is 13/16 full, so a record takes between 39 and 48 bytes. Doubling
// would cost up to 79.
type table struct {
	slots []record
	used  int
}

const minSlots = 16

// home returns the slot where the search for hash begins. It does not use the first byte, which is
// the same in the whole shard.
func (t *table) home(hash *cirque.HashBinary) int {
	hi, _ := bits.Mul64(binary.BigEndian.Uint64(hash[8:]), uint64(len(t.slots)))
	return int(hi)
}

func (t *table) next(i int) int {
	if i++; i == len(t.slots) {
		return 0
	}
	return i
}

// find returns the slot of hash, or nil. The pointer is valid until the next insert or remove.
func (t *table) find(hash *cirque.HashBinary) *record {
	if t.used == 0 {
		return nil
	}
	for i := t.home(hash); ; i = t.next(i) {
		r := &t.slots[i]
		switch {
		case r.blocks == 0:
			return nil
		case r.hash == *hash:
			return r
		}
	}
}

// insert adds r. There must be no record of its hash.
func (t *table) insert(r record) {
	if t.used >= len(t.slots)/16*13 {
		t.grow(len(t.slots) + len(t.slots)/5)
	}
	t.place(r)
	t.used++
}

func (t *table) place(r record) {
	i := t.home(&r.hash)
	for t.slots[i].blocks != 0 {
		i = t.next(i)
	}
	t.slots[i] = r
}

// grow makes room for n slots, rounded up to a multiple of 16, which insert's arithmetic needs.
func (t *table) grow(n int) {
	old := t.slots
	t.slots = make([]record, max(minSlots, (n+15)/16*16))
	for i := range old {
		if old[i].blocks != 0 {
			t.place(old[i])
		}
	}
}

// remove empties the slot r, which find returned, and closes the gap that it leaves in probe
// sequences.
func (t *table) remove(r *record) {
	gap := t.home(&r.hash)
	for &t.slots[gap] != r {
		gap = t.next(gap)
	}
	t.slots[gap] = record{}
	t.used--
	for i := t.next(gap); t.slots[i].blocks != 0; i = t.next(i) {
		// A record moves into the gap unless its home is behind the gap.
		if home := t.home(&t.slots[i].hash); t.distance(gap, i) <= t.distance(home, i) {
			t.slots[gap], t.slots[i] = t.slots[i], record{}
			gap = i
		}
	}
}

// distance returns the number of steps from slot a to slot b.
func (t *table) distance(a, b int) int {
	if b < a {
		b += len(t.slots)
	}
	return b - a
}
