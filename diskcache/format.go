package diskcache

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// The layout of an entry file. All numbers are little-endian:
//
//	fixed part    104 bytes  written once
//	slot, slot    32 bytes   each says where a meta is; the valid one with the higher number wins
//	body
//	chunk table   8 bytes    xxhash64 for each chunk of the body
//	key text, user tag
//	meta area                encoded metas; grows at the end of the file if it must
//
// Only the slots and the meta area ever change. A new meta is written to a place that the current
// meta does not use. Then the slot that is not current is written. Until its last byte is written
// its checksum fails, and the other slot counts.
//
// The fixed part:
//
//	 0 magic 8            16 tag 8         56 body length 8      72 reserved 8
//	 8 version 2          24 primary 16    64 user tag length 4  80 sum of the chunk table 8
//	10 chunk size, log2 2 40 variance 16   68 meta area length 4 88 sum of key text and user tag 8
//	12 key text length 4                                         96 sum of all before it 8
//
// A slot: number 4, meta length 4, meta offset in the file 8, sum of the meta 8, sum of the slot
// and the tag 8.
const (
	magic   = "cirqueDC"
	version = 1

	fixedSize = 104
	slotSize  = 32
	bodyAt    = fixedSize + 2*slotSize

	// A chunk is the unit of verification. It is small, so a range costs little more than itself,
	// and large enough that the chunk table of a gigabyte takes 64 KiB.
	chunkLog  = 17
	chunkSize = 1 << chunkLog

	maxBody = 1 << 43  // far below the largest number of blocks in an index record
	maxTail = 16 << 20 // key text, user tag and metas
)

// header is the fixed part of an entry file.
type header struct {
	tag               cirque.Tag
	primary, variance cirque.HashBinary
	bodyLen           int64
	identityLen       uint32 // of the key's text
	userTagLen        uint32
	metaArea          uint32 // bytes reserved for metas when the file was first written
	tableSum, keySum  uint64
}

func (h *header) chunks() int64  { return (h.bodyLen + chunkSize - 1) >> chunkLog }
func (h *header) tableAt() int64 { return bodyAt + h.bodyLen }
func (h *header) keyAt() int64   { return h.tableAt() + 8*h.chunks() }
func (h *header) metaAt() int64  { return h.keyAt() + int64(h.identityLen) + int64(h.userTagLen) }
func (h *header) end() int64     { return h.metaAt() + int64(h.metaArea) }

// combined returns the hash that names the file.
func (h *header) combined() cirque.HashBinary {
	return cirque.CompactCacheKey{Primary: h.primary, Variance: h.variance}.Combined()
}

func (h *header) append(dst []byte) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = append(dst, magic...)
	dst = le.AppendUint16(dst, version)
	dst = le.AppendUint16(dst, chunkLog)
	dst = le.AppendUint32(dst, h.identityLen)
	dst = le.AppendUint64(dst, uint64(h.tag))
	dst = append(dst, h.primary[:]...)
	dst = append(dst, h.variance[:]...)
	dst = le.AppendUint64(dst, uint64(h.bodyLen))
	dst = le.AppendUint32(dst, h.userTagLen)
	dst = le.AppendUint32(dst, h.metaArea)
	dst = le.AppendUint64(dst, 0)
	dst = le.AppendUint64(dst, h.tableSum)
	dst = le.AppendUint64(dst, h.keySum)
	return le.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

// decode reads the fixed part of a file of fileSize bytes from b.
func (h *header) decode(b []byte, fileSize int64) error {
	if len(b) < fixedSize || string(b[:len(magic)]) != magic {
		return damaged("not an entry file")
	}
	le := binary.LittleEndian
	if le.Uint64(b[96:]) != xxhash.Sum64(b[:96]) {
		return damaged("header checksum")
	}
	if v := le.Uint16(b[8:]); v != version || le.Uint16(b[10:]) != chunkLog {
		return damaged(fmt.Sprintf("format version %d", v))
	}
	*h = header{
		identityLen: le.Uint32(b[12:]),
		tag:         cirque.Tag(le.Uint64(b[16:])),
		primary:     cirque.HashBinary(b[24:40]),
		variance:    cirque.HashBinary(b[40:56]),
		bodyLen:     int64(le.Uint64(b[56:])),
		userTagLen:  le.Uint32(b[64:]),
		metaArea:    le.Uint32(b[68:]),
		tableSum:    le.Uint64(b[80:]),
		keySum:      le.Uint64(b[88:]),
	}
	if h.bodyLen < 0 || h.bodyLen > maxBody || h.end() > fileSize {
		return damaged("truncated")
	}
	return nil
}

// slot says where a meta is in the file.
type slot struct {
	number  uint32 // counts the updates; wraps around
	length  uint32
	offset  int64
	metaSum uint64
}

func (s slot) append(dst []byte, tag cirque.Tag) []byte {
	start := len(dst)
	le := binary.LittleEndian
	dst = le.AppendUint32(dst, s.number)
	dst = le.AppendUint32(dst, s.length)
	dst = le.AppendUint64(dst, uint64(s.offset))
	dst = le.AppendUint64(dst, s.metaSum)
	return le.AppendUint64(dst, slotSum(dst[start:], tag))
}

// slotSum returns the checksum of a slot. It covers the tag too, so that a slot is valid only in
// its own file.
func slotSum(b []byte, tag cirque.Tag) uint64 {
	var sealed [slotSize]byte
	copy(sealed[:], b[:slotSize-8])
	binary.LittleEndian.PutUint64(sealed[slotSize-8:], uint64(tag))
	return xxhash.Sum64(sealed[:])
}

func (s *slot) decode(b []byte, tag cirque.Tag) bool {
	le := binary.LittleEndian
	if le.Uint64(b[slotSize-8:]) != slotSum(b, tag) {
		return false
	}
	*s = slot{
		number:  le.Uint32(b),
		length:  le.Uint32(b[4:]),
		offset:  int64(le.Uint64(b[8:])),
		metaSum: le.Uint64(b[16:]),
	}
	return true
}

// following returns the slot for meta, which replaces the meta of s. The new meta goes to the start
// of the meta area if there is room before the current meta, and behind the current meta otherwise.
func (s slot) following(h *header, meta []byte) slot {
	next := slot{number: s.number + 1, length: uint32(len(meta)), offset: h.metaAt(), metaSum: xxhash.Sum64(meta)}
	if next.offset+int64(len(meta)) > s.offset {
		next.offset = s.offset + int64(s.length)
	}
	return next
}

// metaAreaFor returns the bytes to reserve for a meta of n bytes. There is room for two metas that
// are a little larger, so an entry can be freshened any number of times without growing.
func metaAreaFor(n int) int { return 2 * (n + n/8 + 64) }

// The weight of a file is the blocks it takes, plus entryOverhead for its inode, its directory
// entry, and its share of the saved index and eviction order.
const (
	blockSize     = 4096
	entryOverhead = 512
)

// fileSize returns the size of a file with a body of n bytes. rest is what the file has beside its
// header, body and chunk table.
func fileSize(n, rest int64) int64 {
	h := header{bodyLen: n}
	return h.end() + rest
}

func blocksOf(fileSize int64) uint32 { return uint32((fileSize + blockSize - 1) / blockSize) }

func weightOf(blocks uint32) int64 { return int64(blocks)*blockSize + entryOverhead }
