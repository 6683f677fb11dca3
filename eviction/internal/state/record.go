// Package state reads and writes the saved form of an eviction manager: files of records, each file
// with its own checksum.
package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cirquecache/cirque/eviction/internal/table"
)

// ErrDamaged means that the bytes read are not the bytes saved.
var ErrDamaged = errors.New("damaged")

// Record is a saved entry.
type Record struct {
	Key        table.Key
	UserTag    string
	Weight     int64  // bytes, positive
	FreshUntil uint32 // Unix seconds, zero if unknown
	Cost       float32
	Uses       uint8

	// Private belongs to the policy that saved the entry; other policies ignore it.
	Private uint64

	// Rank is the entry's position in the order over all parts: the entries with the lowest ranks
	// leave last. Within a part, ranks never fall.
	Rank uint64
}

// A record is a byte of flags, the primary hash, and then in this order: the variance, if there is
// one; the rank minus the rank of the previous record; the weight; and the other fields that the
// flags announce. The cost is a float32, the uses are one byte, other numbers are unsigned varints.
// Hashes are written as the words of a node's key. A zero byte ends the records.
const (
	flagRecord = 1 << iota // always set
	flagVariance
	flagUserTag
	flagFreshUntil
	flagCost
	flagUses
	flagPrivate
	flagsUnknown
)

// appendTo appends the saved form of r. before is the rank of the previous record.
func (r *Record) appendTo(b []byte, before uint64) []byte {
	flags := byte(flagRecord)
	set := func(flag byte, is bool) {
		if is {
			flags |= flag
		}
	}
	set(flagVariance, r.Key[2]|r.Key[3] != 0)
	set(flagUserTag, r.UserTag != "")
	set(flagFreshUntil, r.FreshUntil != 0)
	set(flagCost, r.Cost != 0)
	set(flagUses, r.Uses != 0)
	set(flagPrivate, r.Private != 0)

	b = append(b, flags)
	b = binary.LittleEndian.AppendUint64(b, r.Key[0])
	b = binary.LittleEndian.AppendUint64(b, r.Key[1])
	if flags&flagVariance != 0 {
		b = binary.LittleEndian.AppendUint64(b, r.Key[2])
		b = binary.LittleEndian.AppendUint64(b, r.Key[3])
	}
	b = binary.AppendUvarint(b, r.Rank-before)
	b = binary.AppendUvarint(b, uint64(r.Weight))
	if flags&flagUserTag != 0 {
		b = binary.AppendUvarint(b, uint64(len(r.UserTag)))
		b = append(b, r.UserTag...)
	}
	if flags&flagFreshUntil != 0 {
		b = binary.AppendUvarint(b, uint64(r.FreshUntil))
	}
	if flags&flagCost != 0 {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(r.Cost))
	}
	if flags&flagUses != 0 {
		b = append(b, r.Uses)
	}
	if flags&flagPrivate != 0 {
		b = binary.AppendUvarint(b, r.Private)
	}
	return b
}

// read reads what appendTo wrote. It returns false at the end of the records.
func (r *Record) read(in *input, before uint64) (more bool, err error) {
	flags := in.byte()
	if in.err != nil || flags == 0 {
		return false, in.err
	}
	if flags&flagRecord == 0 || flags&flagsUnknown != 0 {
		return false, fmt.Errorf("%w: flags %#x", ErrDamaged, flags)
	}
	*r = Record{Key: table.Key{in.word(), in.word()}}
	if flags&flagVariance != 0 {
		r.Key[2], r.Key[3] = in.word(), in.word()
	}
	r.Rank = before + in.uvarint(math.MaxUint64-before)
	r.Weight = int64(in.uvarint(math.MaxInt64))
	if flags&flagUserTag != 0 {
		r.UserTag = in.text()
	}
	if flags&flagFreshUntil != 0 {
		r.FreshUntil = uint32(in.uvarint(math.MaxUint32))
	}
	if flags&flagCost != 0 {
		r.Cost = math.Float32frombits(in.half())
	}
	if flags&flagUses != 0 {
		r.Uses = in.byte()
	}
	if flags&flagPrivate != 0 {
		r.Private = in.uvarint(math.MaxUint64)
	}
	if in.err != nil {
		return false, in.err
	}
	if r.Weight == 0 || !(r.Cost >= 0 && r.Cost <= math.MaxFloat32) {
		return false, fmt.Errorf("%w: an entry of weight %d and cost %v", ErrDamaged, r.Weight, r.Cost)
	}
	return true, nil
}
