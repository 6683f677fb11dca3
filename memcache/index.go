package memcache

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/offheap"
)

// index finds the records of a shard by combined hash. It is a hash table with open addressing and
// linear probing, of five bytes a slot. A map would hold a copy of each hash, and room for as many
// again.
//
// Its methods are called with the shard's lock held, and get the shard's records for their hashes.
type index struct {
	memory  *offheap.Memory
	slots   []byte   // the memory of the next two
	marks   []uint8  // eight bits of the mixed hash, at least one of them set; zero: a free slot
	numbers []uint32 // of records
	count   int
}

const minSlots = 8

// seeds are secret: an attacker who chooses URLs, and so bits of the hashes, cannot choose slots.
var seeds = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}

// mix returns 64 bits that depend on all bits of a hash and on the seeds of this process.
func mix(hash *cirque.HashBinary) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(hash[:8])^seeds[0], binary.LittleEndian.Uint64(hash[8:])^seeds[1])
	return hi ^ lo
}

// home returns the slot where the search for a mixed hash begins. It is proportional to the hash,
// so that a table can have any length.
func (x *index) home(mixed uint64) int {
	slot, _ := bits.Mul64(mixed, uint64(len(x.marks)))
	return int(slot)
}

func markOf(mixed uint64) uint8 { return uint8(mixed) | 1 }

func (x *index) after(slot int) int {
	if slot++; slot == len(x.marks) {
		return 0
	}
	return slot
}

// find returns the record with that hash and its number, or nil.
func (x *index) find(hash *cirque.HashBinary, records *records) (r *record, number uint32) {
	if slot := x.slot(hash, records); slot >= 0 {
		number = x.numbers[slot]
		return records.at(number), number
	}
	return nil, 0
}

// slot returns the slot of the record with that hash, or a negative number.
func (x *index) slot(hash *cirque.HashBinary, records *records) int {
	if x.count == 0 {
		return -1
	}
	mixed := mix(hash)
	mark := markOf(mixed)
	for slot := x.home(mixed); x.marks[slot] != 0; slot = x.after(slot) {
		if x.marks[slot] == mark && records.at(x.numbers[slot]).hash == *hash {
			return slot
		}
	}
	return -1
}

// insert adds a record. No other record in the index may have its hash.
func (x *index) insert(number uint32, records *records) {
	// With more than four fifths of the slots in use, searches get long. A table that grows by half
	// is two thirds full on average.
	if (x.count+1)*5 > len(x.marks)*4 {
		old := *x
		n := max(len(old.marks)*3/2, minSlots)
		x.slots = x.memory.Alloc(5 * n)[:5*n]
		x.marks, x.numbers = slotsIn(x.slots, n)
		for slot, mark := range old.marks {
			if mark != 0 {
				x.place(old.numbers[slot], records)
			}
		}
		x.memory.Free(old.slots)
	}
	x.place(number, records)
	x.count++
}

func (x *index) place(number uint32, records *records) {
	mixed := mix(&records.at(number).hash)
	slot := x.home(mixed)
	for x.marks[slot] != 0 {
		slot = x.after(slot)
	}
	x.marks[slot], x.numbers[slot] = markOf(mixed), number
}

// remove takes the record with that hash out and returns it and its number, or nil. It moves later
// records back, because a free slot would end the search for them.
func (x *index) remove(hash *cirque.HashBinary, records *records) (r *record, number uint32) {
	hole := x.slot(hash, records)
	if hole < 0 {
		return nil, 0
	}
	number = x.numbers[hole]
	for slot := x.after(hole); x.marks[slot] != 0; slot = x.after(slot) {
		// A record may move into the hole unless its home lies after the hole.
		home := x.home(mix(&records.at(x.numbers[slot]).hash))
		if x.distance(home, slot) >= x.distance(hole, slot) {
			x.marks[hole], x.numbers[hole] = x.marks[slot], x.numbers[slot]
			hole = slot
		}
	}
	x.marks[hole] = 0
	x.count--
	return records.at(number), number
}

// distance returns the number of steps from one slot to another.
func (x *index) distance(from, to int) int {
	if to < from {
		to += len(x.marks)
	}
	return to - from
}
