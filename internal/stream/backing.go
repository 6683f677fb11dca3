package stream

import (
	"io"
	"sync"
)

// Backing holds the body of a linked Buffer instead of memory, in a file for instance. Several
// readers may call ReadAt at the same time, and while Append runs.
//
// When the Buffer becomes unlinked, the part of the body that the Backing has stays there until all
// readers have read it. The rest goes through the window.
type Backing interface {
	// Append adds p to the end. If it fails, p counts as not appended: the Buffer becomes unlinked
	// and does not call Append again. The Buffer holds no lock during the call.
	Append(p []byte) error

	// ReadAt reads what was appended.
	io.ReaderAt

	// Drop is the last call: no reader will come any more. It must not call the Buffer.
	Drop()
}

// piece is a part of a segment that a reader uses without the lock: bytes in memory, or a range of
// the backing.
type piece struct {
	bytes   []byte
	backing Backing // nil: the piece is in bytes
	from    int64   // in the backing
	size    int64
}

// piece returns n published bytes from position pos of the body. Called with mu held.
func (s *segment) piece(pos, n int64) piece {
	from := pos - s.start
	if s.backing != nil {
		return piece{backing: s.backing, from: from, size: n}
	}
	return piece{bytes: s.buf[from : from+n]}
}

// read reads into dst, which is not shorter than the piece. It returns at least one byte or an
// error. The error is never io.EOF, because only the Buffer knows where the body ends.
func (p piece) read(dst []byte) (int, error) {
	if p.backing == nil {
		return copy(dst, p.bytes), nil
	}
	n, err := p.backing.ReadAt(dst[:p.size], p.from)
	switch {
	case n > 0:
		return n, nil
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	}
	return 0, err
}

// copyBuffers carry bytes from the backing to an io.Writer, and from an io.Reader to the backing.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// writeTo writes the piece, or the first part of it, to w.
func (p piece) writeTo(w io.Writer) (int, error) {
	if p.backing == nil {
		return writeAll(w, p.bytes)
	}
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	p.size = min(p.size, int64(len(buf)))
	n, err := p.read(buf[:])
	if err != nil {
		return 0, err
	}
	return writeAll(w, buf[:n])
}

// writeAll is w.Write with a count and an error that keep the rules of io.Writer.
func writeAll(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	n = min(max(n, 0), len(p))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
