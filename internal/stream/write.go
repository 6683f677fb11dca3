package stream

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/cirquecache/cirque/internal/unzeroed"
)

// errBadCount is what ReadFrom returns where its reader is none.
var errBadCount = errors.New("stream: read of an impossible number of bytes")

// Write appends p, which stays the caller's. While the buffer is linked it does not block. It
// returns the NoReaders error when the buffer is unlinked and nobody reads it, and the cause
// of its context's end. Errors are final.
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
		n += b.publish(copy(free, p[n:]))
	}
	return n, nil
}

// ReadFrom implements io.ReaderFrom: it appends what r yields until io.EOF, and publishes each
// Read. r reads into the memory that readers will be given, wherever more is sure to be needed. It
// may call Unlink. Errors are those of Write, and r's.
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
	n, err = readInto(free, r)
	if n > 0 {
		b.publish(n)
	}
	return n, err
}

// awaits reports whether there is memory for what comes next, or a reason to get some before it has
// come: of an announced body at least the first byte is there.
func (b *Buffer) awaits() bool {
	if b.opts.Backing != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.mu.tail.full() || b.mu.size > 0 && b.mu.size < b.opts.SizeHint
}

// copyOnce reads through a buffer: nothing is reserved for a body that never begins, nor at the end
// of one for more.
func (b *Buffer) copyOnce(r io.Reader) (int, error) {
	buf := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buf)
	n, err := readInto(buf[:], r)
	if wrote, err := b.Write(buf[:n]); err != nil {
		return wrote, err
	}
	return n, err
}

// readInto is r.Read, held to the rules of io.Reader.
func readInto(p []byte, r io.Reader) (int, error) {
	n, err := r.Read(p)
	if n < 0 || n > len(p) {
		return 0, errBadCount
	}
	return n, err
}

// publish makes the next n bytes of the tail visible to readers.
func (b *Buffer) publish(n int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.mu.tail
	t.buf = t.buf[:len(t.buf)+n]
	b.mu.size += int64(n)
	b.wakeReaders()
	return n
}

// room returns the unpublished end of the tail, where want bytes are waiting to be written. It
// grows the list when the tail is full, and in an unlinked buffer waits until the window has moved
// on.
func (b *Buffer) room(want int) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case b.ended():
			return nil, ErrEnded
		case b.ctx.Err() != nil:
			return nil, context.Cause(b.ctx)
		case b.mu.unlinked && len(b.mu.readers) == 0:
			return nil, ErrNoReaders
		case !b.mu.tail.full():
			t := b.mu.tail
			return t.buf[len(t.buf):cap(t.buf)], nil
		case b.windowFull():
			b.awaitReaders()
		default:
			b.grow(want)
		}
	}
}

// windowFull reports whether the head has to go before another segment may come. A single segment
// need not: it may be larger than the whole window, from the time when the buffer was linked, and
// its readers leave it only for another. Called with mu held.
func (b *Buffer) windowFull() bool {
	return b.mu.unlinked && b.mu.head != b.mu.tail &&
		b.mu.capacity+int64(b.windowSegment()) > b.opts.Window
}

// grow appends a segment, or unlinks the buffer where there is no room for one. Called with mu
// held, which it gives up meanwhile: reserving may evict entries, down to calls into the owner.
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

// newSegment returns an empty segment, or nil where there is no room for it: an unlinked buffer has
// one all the same. Called with mu held, which it gives up meanwhile; even a panic of Reserve,
// which runs code of others, finds it held.
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
	// Of a body of 1 MiB, a fifth of what its fetch costs would be zeroing what is overwritten at
	// once.
	s.buf = unzeroed.Make(size)
	return s
}

// awaitReaders waits until there is news of the window: the head was dropped, no reader is left, or
// the write's context has ended. Readers that stay in the head for the stall timeout and read on by
// less than a window segment are dropped. Called with mu held, which it gives up meanwhile.
//
// A minimum of progress rather than any, because a reader that takes one byte every now and then
// would hold up the writer and everybody else for ever.
func (b *Buffer) awaitReaders() {
	head := b.mu.head
	for _, r := range b.mu.readers {
		r.mark = r.pos
	}
	timer := time.NewTimer(b.opts.StallTimeout)
	defer timer.Stop()
	for b.mu.head == head && len(b.mu.readers) > 0 {
		room := make(chan struct{})
		b.mu.room = room
		b.mu.Unlock()
		stalled := false
		select {
		case <-room:
		case <-timer.C:
			stalled = true
		case <-b.ctx.Done():
		}
		b.mu.Lock()
		b.mu.room = nil
		if b.ctx.Err() != nil {
			return
		}
		if stalled {
			b.dropStalled(head)
			timer.Reset(b.opts.StallTimeout)
		}
	}
}

// dropStalled is called with mu held.
func (b *Buffer) dropStalled(head *segment) {
	for i := len(b.mu.readers) - 1; i >= 0; i-- { // backwards: detaching moves the last one up
		r := b.mu.readers[i]
		if r.at == head && r.pos-r.mark < int64(b.windowSegment()) {
			r.failed = ErrSlowReader
			r.detach()
		}
		r.mark = r.pos
	}
}
