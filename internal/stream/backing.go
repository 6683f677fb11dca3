package stream

import (
	"io"
	"sync"
)

// Backing keeps the body of a linked Buffer in the place of memory, in a file for instance. Readers
// come to it at any time, several at once, while Append runs too.
//
// The part of the body that it took when the Buffer becomes unlinked stays there, for readers that
// are not through with it; what follows goes through the window.
type Backing interface {
	// Append adds p to the end. After an error p counts as not appended, the Buffer becomes
	// unlinked and does not call Append again. No lock is held.
	Append(p []byte) error

	// ReadAt reads what was appended.
	io.ReaderAt

	// Drop is the last call: no reader will come any more. It must not call the Buffer.
	Drop()
}

// toBacking gives p to the backing of a linked Buffer that has one, and reports whether it took it.
func (b *Buffer) toBacking(p []byte) bool {
	if b.opts.Backing == nil {
		return false
	}
	b.mu.Lock()
	takes := !b.mu.unlinked && !b.ended() && b.ctx.Err() == nil
	b.mu.Unlock()
	if !takes {
		return false
	}
	err := b.opts.Backing.Append(p)

	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.unlink()
		return false
	}
	b.mu.head.backed += int64(len(p))
	b.mu.size += int64(len(p))
	b.wakeReaders()
	return true
}

// leaveBacking ends the part of the body that lies in the backing, so that readers who are through
// with it do not hold it any more. Called with mu held, once the buffer is unlinked.
func (b *Buffer) leaveBacking() {
	b.push(new(segment))
	for _, r := range b.mu.readers {
		r.moveOn()
	}
}

// piece is a part of a segment that a reader is at work on, outside of the lock: bytes in memory,
// or where they are in the backing.
type piece struct {
	bytes   []byte
	backing Backing // nil: bytes
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

// read reads into dst, which is not shorter than the piece: at least one byte, or an error that is
// not io.EOF, because only the Buffer knows where the body ends.
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

// copyBuffers are for what goes from the backing to an io.Writer, and from an io.Reader to the
// backing.
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

// writeAll is w.Write, held to the rules of io.Writer.
func writeAll(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	n = min(max(n, 0), len(p))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}
