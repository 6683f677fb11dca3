package state

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// input reads numbers and texts. After the first error it returns zeros and keeps the error.
type input struct {
	r    *bufio.Reader
	left int64 // bytes that may still follow; a text cannot be longer
	err  error
}

func (in *input) fail(err error) {
	if in.err != nil {
		return
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	in.err = err
}

// ReadByte makes input an io.ByteReader.
func (in *input) ReadByte() (byte, error) {
	in.left--
	return in.r.ReadByte()
}

func (in *input) byte() byte {
	if in.err != nil {
		return 0
	}
	b, err := in.ReadByte()
	if err != nil {
		in.fail(err)
		return 0
	}
	return b
}

func (in *input) full(b []byte) {
	if in.err != nil {
		return
	}
	in.left -= int64(len(b))
	if _, err := io.ReadFull(in.r, b); err != nil {
		in.fail(err)
		clear(b)
	}
}

func (in *input) word() uint64 {
	var b [8]byte
	in.full(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

func (in *input) half() uint32 {
	var b [4]byte
	in.full(b[:])
	return binary.LittleEndian.Uint32(b[:])
}

// uvarint reads a number that is at most limit.
func (in *input) uvarint(limit uint64) uint64 {
	if in.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(in)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		in.fail(err)
	case err != nil || n > limit:
		in.fail(fmt.Errorf("%w: a number is out of range", ErrDamaged))
	default:
		return n
	}
	return 0
}

func (in *input) text() string {
	n := in.uvarint(uint64(max(in.left, 0)))
	if in.err != nil {
		return ""
	}
	b := make([]byte, n)
	in.full(b)
	return string(b)
}
