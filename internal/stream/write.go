package stream

import (
	"context"
	"errors"
	"io"
)

// errBadCount is the error of ReadFrom when a reader breaks the rules of io.Reader.
var errBadCount = errors.New("stream: read of an impossible number of bytes")

// Write appends p, which stays the caller's. While the buffer is linked it does not block. It
// returns ErrNoReaders when the buffer is unlinked and nobody reads it, and the cause when the
// context of the write has ended. After an error every Write fails.
func (b *Buffer) Write(p []byte) (n int, err error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if len(p) > 0 && b.toBacking(p) {
		return len(p), nil
	}
	for n < len(p) {
		free, err := b.room(len(p) - n)
		if err != nil {
			b.failed = err
			return n, err
		}
		copied := copy(free, p[n:])
		b.publish(copied)
		n += copied
	}
	return n, nil
}

// toBacking gives p to the backing of a linked Buffer, and reports whether the backing took it.
func (b *Buffer) toBacking(p []byte) bool {
	if b.opts.Backing == nil {
		return false
	}
	b.mu.Lock()
	takes := !b.mu.unlinked && !b.mu.ended() && b.ctx.Err() == nil
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
	b.mu.wakeReaders()
	return true
}

// ReadFrom implements io.ReaderFrom: it appends what r returns until io.EOF, and publishes each
// Read. Where more memory is certain to be needed, r reads directly into the memory of the Buffer.
// r may call Unlink. ReadFrom returns errors as Write does, and the errors of r.
func (b *Buffer) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		n, err := b.readOnce(r)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (b *Buffer) readOnce(r io.Reader) (n int, err error) {
	if b.failed != nil {
		return 0, b.failed
	}
	if !b.awaits() {
		return b.copyOnce(r)
	}
	free, err := b.room(minSegment)
	if err != nil {
		b.failed = err
		return 0, err
	}
	defer func() { b.publish(n) }() // of nothing, if r panics
	return readInto(free, r)
}

// awaits reports whether the next Read should go directly into the memory of the Buffer: the tail
// has room, or the body is of announced length and has begun but is not complete.
func (b *Buffer) awaits() bool {
	if b.opts.Backing != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.mu.tail.full() || b.mu.size > 0 && b.mu.size < b.opts.SizeHint
}

// copyOnce reads through a copy buffer, so that nothing is reserved for a body that never begins,
// or for bytes after the end of one.
func (b *Buffer) copyOnce(r io.Reader) (int, error) {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := readInto(buf[:], r)
	if wrote, err := b.Write(buf[:n]); err != nil {
		return wrote, err
	}
	return n, err
}

// readInto is r.Read with a check of the count that it returns.
func readInto(p []byte, r io.Reader) (int, error) {
	n, err := r.Read(p)
	if n < 0 || n > len(p) {
		return 0, errBadCount
	}
	return n, err
}

// publish makes the first n bytes of what room returned visible to readers, and lets go of the
// rest.
func (b *Buffer) publish(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.writing
	b.writing = nil
	if n > 0 && !s.gone { // it is gone if another goroutine has closed the Buffer
		s.buf = s.buf[:len(s.buf)+n]
		b.mu.size += int64(n)
		b.mu.wakeReaders()
	}
	b.letGo(s)
}

// room returns the unpublished end of the tail, and holds the tail until publish. When the tail is
// full, it adds a segment for want bytes; in an unlinked buffer it first waits until the window has
// room.
func (b *Buffer) room(want int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.mu.ended():
			return nil, ErrEnded
		case b.ctx.Err() != nil:
			return nil, context.Cause(b.ctx)
		case b.mu.unlinked && len(b.mu.readers) == 0:
			return nil, ErrNoReaders
		case !b.mu.tail.full():
			t := b.mu.tail
			t.holds++
			b.writing = t
			return t.buf[len(t.buf):cap(t.buf)], nil
		case b.windowFull():
			b.awaitReaders()
		default:
			b.grow(want)
		}
	}
}

// grow appends a segment, or unlinks the buffer where there is no room for one. Called with mu
// held, which it gives up meanwhile: to reserve may evict entries, which calls code of the owner.
func (b *Buffer) grow(want int) {
	if s := b.takeSpare(); s != nil {
		b.push(s)
		return
	}
	s := b.newSegment(b.segmentSize(want))
	if s == nil {
		b.unlink()
		return
	}
	b.push(s)
}

// newSegment returns an empty segment, or nil where a linked buffer has no room for one. Called
// with mu held, which it gives up meanwhile. It takes mu again even if Reserve panics, which runs
// code of others.
func (b *Buffer) newSegment(size int) *segment {
	unlinked := b.mu.unlinked
	b.mu.Unlock()
	defer b.mu.Lock()
	s := new(segment)
	if b.opts.Reserve(int64(size)) {
		s.charged = int64(size)
	} else if !unlinked {
		return nil
	}
	// Every byte is overwritten before it is published. Zeroing would take a fifth of the time that
	// the fetch of a body of 1 MiB takes.
	s.buf = b.opts.Memory.Alloc(size)
	return s
}
