package stream

import "bytes"

const (
	minSegment = 4 << 10

	// maxSegment is for bodies whose length is announced. A hit hands over a segment at a time, and
	// to a socket, 1 MiB in one write takes little more than half the time that it takes in pieces
	// of 64 KiB.
	maxSegment = 1 << 20

	// maxGuess is the largest segment for a body of unknown length, and up to which size Take makes
	// one piece of several: such a copy takes no longer than the extra writes of a single hit,
	// while that of 1 MiB takes three.
	maxGuess = 256 << 10
)

// segment is one piece of the body, pointer-free in memory or in the backing. All but what
// buf[:len] points to is guarded by Buffer.mu.
type segment struct {
	start   int64
	buf     []byte // len: what is published, cap: what there is
	charged int64  // what was reserved for it
	next    *segment

	backing Backing // of the first segment, if there is one; then buf is nil
	backed  int64   // what is published of it

	readers int  // whose position is in here
	holds   int  // readers at work on its bytes, outside of the lock
	gone    bool // out of the list: free when nobody holds it
}

func (s *segment) end() int64 { return s.start + s.backed + int64(len(s.buf)) }

func (s *segment) full() bool { return len(s.buf) == cap(s.buf) }

// segmentSize returns the capacity of the next segment where want bytes are waiting: exactly what
// is missing if the hint is to be believed, else twice the last one. Called with mu held.
func (b *Buffer) segmentSize(want int) int {
	if b.mu.unlinked {
		return b.windowSegment()
	}
	if missing := b.opts.SizeHint - b.mu.size; missing > 0 {
		return int(min(missing, maxSegment))
	}
	return min(max(2*cap(b.mu.tail.buf), want, minSegment), maxGuess)
}

// windowSegment is the unit in which an unlinked buffer's window moves on.
func (b *Buffer) windowSegment() int { return int(min(b.opts.Window/4, maxGuess)) }

// push appends a segment to the list. Called with mu held, by the writer.
func (b *Buffer) push(s *segment) {
	s.start = b.mu.size
	b.mu.tail.next = s
	b.mu.tail = s
	b.mu.capacity += int64(cap(s.buf))
	if b.mu.unlinked {
		b.dropRead()
	}
}

// locate returns the segment that holds position pos: the last one that starts at or before it.
// Called with mu held, while the list reaches back to pos.
func (b *Buffer) locate(pos int64) *segment {
	s := b.mu.head
	for s.next != nil && s.next.start <= pos {
		s = s.next
	}
	return s
}

// dropRead takes the segments out of the list that no reader of an unlinked buffer needs any more.
// Called with mu held.
func (b *Buffer) dropRead() {
	for b.mu.head.readers == 0 && b.mu.head != b.mu.tail {
		s := b.mu.head
		b.mu.head = s.next
		b.mu.capacity -= int64(cap(s.buf))
		b.discard(s)
		b.wakeWriter()
	}
}

// discard releases s, now or when the last reader lets go of it. Called with mu held, s being out
// of the list.
func (b *Buffer) discard(s *segment) {
	s.gone = true
	if s.holds > 0 {
		return
	}
	if b.mu.unlinked && !b.ended() && b.mu.spare == nil && cap(s.buf) == b.windowSegment() {
		b.mu.spare = s
		return
	}
	b.uncharge(s)
}

func (b *Buffer) uncharge(s *segment) {
	if s.charged > 0 {
		b.opts.Release(s.charged)
	}
	s.charged, s.buf = 0, nil
	if s.backing != nil {
		s.backing.Drop()
		s.backing = nil
	}
}

// takeSpare returns an empty segment that has served its time in the window, or nil. Called with mu
// held.
func (b *Buffer) takeSpare() *segment {
	s := b.mu.spare
	if s == nil {
		return nil
	}
	b.mu.spare = nil
	return &segment{buf: s.buf[:0], charged: s.charged}
}

// freeSpare is called with mu held.
func (b *Buffer) freeSpare() {
	if b.mu.spare != nil {
		b.uncharge(b.mu.spare)
		b.mu.spare = nil
	}
}

// freeIfDone releases all once neither the owner nor a reader is left. Called with mu held.
func (b *Buffer) freeIfDone() {
	if !b.mu.closed || len(b.mu.readers) > 0 {
		return
	}
	for s := b.mu.head; s != nil; s = s.next {
		b.discard(s)
	}
	b.mu.head = new(segment)
	b.mu.tail = b.mu.head
	b.mu.capacity = 0
}

// AppendTo appends the body to dst. It is for the owner of a Buffer without backing, after a Finish
// without error.
func (b *Buffer) AppendTo(dst []byte) []byte {
	for s := b.mu.head; s != nil; s = s.next {
		dst = append(dst, s.buf...)
	}
	return dst
}

// Take hands the body over to the owner of a Buffer without backing, after a Finish without error:
// its non-empty segments, which never change again, and the bytes that are reserved for them, which
// are the owner's to release from now on. Attached readers go on over the same memory, so that is
// not before they have left.
//
// What was allocated and not used is given back where it is worth a copy: of a small body, or of
// the last segment.
func (b *Buffer) Take() (segments [][]byte, charged int64) {
	b.compact()
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for s := b.mu.head; s != nil; s = s.next {
		n++
	}
	segments = make([][]byte, 0, n)
	for s := b.mu.head; s != nil; s = s.next {
		charged += s.charged
		s.charged = 0
		if len(s.buf) > 0 {
			segments = append(segments, s.buf)
		}
	}
	return segments, charged
}

// compact replaces the segments from some point on by one without slack.
func (b *Buffer) compact() {
	size, slack := b.mu.size, b.mu.capacity-b.mu.size
	from := b.mu.tail
	switch {
	case size == 0:
		return
	case size <= maxGuess && b.mu.head.next != b.mu.tail:
		from = b.mu.head.next
	case slack <= size/16:
		return
	}
	n := size - from.start
	if !b.opts.Reserve(n) {
		return
	}
	var pieces [][]byte
	for s := from; s != nil; s = s.next {
		pieces = append(pieces, s.buf)
	}
	whole := &segment{start: from.start, buf: bytes.Join(pieces, nil), charged: n}

	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.mu.head
	for before.next != from {
		before = before.next
	}
	before.next = whole
	b.mu.tail = whole
	b.mu.capacity = whole.start + n
	for s := from; s != nil; s = s.next {
		b.discard(s)
	}
	for _, r := range b.mu.readers {
		if r.at.gone {
			r.at = whole
			whole.readers++
		}
	}
}
