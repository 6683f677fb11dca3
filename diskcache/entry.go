package diskcache

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/cirquecache/cirque"
)

// entry holds everything in an entry file except the body.
type entry struct {
	header
	meta     cirque.CacheMeta
	slot     slot // says where meta is in the file
	slotAt   int  // number of that slot, 0 or 1
	identity []byte
	userTag  string
}

// read reads an entry file of size bytes, except the body. It reads through buf, which must have
// room for more than bodyAt bytes. A file that fits into buf is read whole and returned as whole.
// whole points into buf, and identity may.
//
// Errors that wrap errDamaged mean a damaged file. All others mean a failing disk.
func (e *entry) read(f io.ReaderAt, size int64, buf []byte) (whole []byte, err error) {
	if size < bodyAt {
		return nil, damaged("truncated")
	}
	head := buf[:bodyAt]
	if size <= int64(len(buf)) {
		whole = buf[:size]
		head = whole
	}
	if err := readFull(f, head, 0); err != nil {
		return nil, err
	}
	if whole != nil {
		return whole, e.decode(whole)
	}
	if err := e.header.decode(head, size); err != nil {
		return nil, err
	}
	slots := e.decodeSlots(head)
	end := e.metaAt()
	for _, s := range slots {
		end = max(end, s.offset+int64(s.length))
	}
	length := min(end, size) - e.keyAt()
	switch {
	case length > maxTail:
		return nil, damaged("oversized tail")
	case length > int64(len(buf)):
		buf = make([]byte, length)
	}
	tail := buf[:length] // overwrites the head, which is decoded by now
	if err := readFull(f, tail, e.keyAt()); err != nil {
		return nil, err
	}
	return nil, e.decodeTail(tail, slots)
}

// decode reads an entry from its whole file.
func (e *entry) decode(whole []byte) error {
	if len(whole) < bodyAt {
		return damaged("truncated")
	}
	if err := e.header.decode(whole, int64(len(whole))); err != nil {
		return err
	}
	return e.decodeTail(whole[e.keyAt():], e.decodeSlots(whole))
}

// located is a slot with its number.
type located struct {
	slot
	valid bool
	at    int
}

// decodeSlots returns the slots in the head of a file. The current one comes first.
func (e *entry) decodeSlots(head []byte) (slots [2]located) {
	for i := range slots {
		s := &slots[i]
		s.at = i
		s.valid = s.decode(head[fixedSize+i*slotSize:], e.tag)
	}
	if !slots[0].valid || slots[1].valid && int32(slots[1].number-slots[0].number) > 0 {
		slots[0], slots[1] = slots[1], slots[0]
	}
	return slots
}

// decodeTail reads key and meta from tail, the part of the file that begins with the key.
func (e *entry) decodeTail(tail []byte, slots [2]located) error {
	keyLen := int64(e.identityLen) + int64(e.userTagLen)
	if int64(len(tail)) < keyLen || xxhash.Sum64(tail[:keyLen]) != e.keySum {
		return damaged("key checksum")
	}
	e.identity = tail[:e.identityLen]
	e.userTag = string(tail[e.identityLen:keyLen])

	// A power cut may have kept the current slot and lost its meta. Then the other slot counts.
	for _, s := range slots {
		from := s.offset - e.keyAt()
		if !s.valid || from < keyLen || from > int64(len(tail)) || int64(s.length) > int64(len(tail))-from {
			continue
		}
		meta := tail[from : from+int64(s.length)]
		if xxhash.Sum64(meta) == s.metaSum && e.meta.UnmarshalBinary(meta) == nil {
			e.slot, e.slotAt = s.slot, s.at
			return nil
		}
	}
	return damaged("no valid meta")
}

// is reports whether e is the entry of the key with the text identity.
func (e *entry) is(identity []byte) bool { return bytes.Equal(e.identity, identity) }

func (e *entry) compact() cirque.CompactCacheKey {
	return cirque.CompactCacheKey{Primary: e.primary, Variance: e.variance, UserTag: e.userTag}
}

// intactBody returns the body of a file that was read whole, or nil if a checksum of the body does
// not match.
func (e *entry) intactBody(whole []byte) []byte {
	body := whole[bodyAt:e.tableAt():e.tableAt()]
	table := whole[e.tableAt():e.keyAt()]
	for i := range e.chunks() {
		chunk := body[i<<chunkLog : min((i+1)<<chunkLog, e.bodyLen)]
		if xxhash.Sum64(chunk) != binary.LittleEndian.Uint64(table[8*i:]) {
			return nil
		}
	}
	return body
}

// readFull reads len(p) bytes at off. A file that ends earlier is damaged.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	switch {
	case n == len(p):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return damaged("truncated")
	}
	return err
}
