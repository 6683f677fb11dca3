package memcache

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"

	"github.com/cirquecache/cirque"
)

// index finds the records of a shard by combined hash: open addressing with linear probing, at five
// bytes a slot. A map would have a copy of each hash, and room for as many again.
//
// Its methods are called with the shard's lock held, and with the shard's records, which have the
// hashes.
type index struct {
	marks   []uint8  // eight bits of the mixed hash, never zero; zero: the slot is free
	numbers []uint32 // of records
	count   int
}

const minSlots = 8

// seeds keep those who choose URLs, and with them bits of the hashes, from choosing slots.
var seeds = [2]uint64{rand.Uint64() | 1, rand.Uint64() | 1}

// mix returns 64 bits that depend on all bits of a hash, and on this process.
func mix(hash *cirque.HashBinary) uint64 {
	hi, lo := bits.Mul64(binary.LittleEndian.Uint64(hash[:8])^seeds[0], binary.LittleEndian.Uint64(hash[8:])^seeds[1])
	return hi ^ lo
}

// home returns the slot where the search for a mixed hash begins. It grows with the hash, which
// lets a table have any length.
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

// find returns the record with that hash, and its number, or nil.
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

// insert adds a record, whose hash no other has.
func (x *index) insert(number uint32, records *records) {
	// Above four fifths the probes get long; growing by half keeps the mean load at two thirds.
	if (x.count+1)*5 > len(x.marks)*4 {
		old := *x
		n := max(len(old.marks)*3/2, minSlots)
		x.marks, x.numbers = make([]uint8, n), make([]uint32, n)
		for slot, mark := range old.marks {
			if mark != 0 {
				x.place(old.numbers[slot], records)
			}
		}
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

// remove takes the record with that hash out, and returns it and its number, or nil. The records
// after it move back, so that no search ends too early.
func (x *index) remove(hash *cirque.HashBinary, records *records) (r *record, number uint32) {
	hole := x.slot(hash, records)
	if hole < 0 {
		return nil, 0
	}
	number = x.numbers[hole]
	for slot := x.after(hole); x.marks[slot] != 0; slot = x.after(slot) {
		// One may move into the hole unless its home lies after the hole.
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

// distance returns the steps from one slot on to another.
func (x *index) distance(from, to int) int {
	if to < from {
		to += len(x.marks)
	}
	return to - from
}
