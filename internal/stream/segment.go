package stream

const (
	minSegment = 4 << 10

	// maxSegment is for bodies of announced length. A hit writes one segment at a time. To a
	// socket, one write of 1 MiB takes little more than half the time of writes of 64 KiB each.
	maxSegment = 1 << 20

	// maxGuess is the largest segment of a body of unknown length. It is also the largest body that
	// Take joins into one piece: to copy 256 KiB takes no longer than the extra writes of one hit,
	// to copy 1 MiB takes as long as those of three.
	maxGuess = 256 << 10
)

// segment is one piece of the body: pointer-free memory, or the part in the backing. Buffer.mu
// guards every field, but not the bytes in buf[:len], which never change.
type segment struct {
	start   int64
	buf     []byte // length: what is published; capacity: what is allocated
	charged int64  // bytes reserved for it
	next    *segment

	backing Backing // set in the first segment of a Buffer with a Backing; buf is nil then
	backed  int64   // bytes published in the backing

	readers int  // those whose position is in this segment
	holds   int  // readers, and the writer, that use its bytes without the lock
	gone    bool // out of the list: freed when nobody holds it
	taken   bool // its memory belongs to the caller of Take
}

func (s *segment) end() int64 { return s.start + s.backed + int64(len(s.buf)) }

func (s *segment) full() bool { return len(s.buf) == cap(s.buf) }

// segmentSize returns the capacity of the next segment when want bytes are waiting. With a
// SizeHint it is what is missing of the body, else twice the last segment. The capacity is what an
// allocation takes anyway. Called with mu held.
func (b *Buffer) segmentSize(want int) int {
	if b.mu.unlinked {
		return b.windowSegment()
	}
	if missing := b.opts.SizeHint - b.mu.size; missing > 0 {
		return b.opts.Memory.Size(int(min(missing, maxSegment)))
	}
	return b.opts.Memory.Size(min(max(2*cap(b.mu.tail.buf), want, minSegment), maxGuess))
}

// windowSegment is the size of a segment in the window of an unlinked buffer.
func (b *Buffer) windowSegment() int { return int(min(b.opts.Window/4, maxGuess)) }

// push appends a segment to the list. The writer calls it, with mu held.
func (b *Buffer) push(s *segment) {
	s.start = b.mu.size
	b.mu.tail.next = s
	b.mu.tail = s
	b.mu.capacity += int64(cap(s.buf))
	if b.mu.unlinked {
		b.dropRead()
	}
}

// locate returns the last segment that starts at or before position pos. The list must reach back
// to pos. Called with mu held.
func (b *Buffer) locate(pos int64) *segment {
	s := b.mu.head
	for s.next != nil && s.next.start <= pos {
		s = s.next
	}
	return s
}

// dropRead takes the segments that no reader needs any more out of the list of an unlinked buffer.
// Called with mu held.
func (b *Buffer) dropRead() {
	for b.mu.head.readers == 0 && b.mu.head != b.mu.tail {
		s := b.mu.head
		b.mu.head = s.next
		b.mu.capacity -= int64(cap(s.buf))
		b.discard(s)
		b.mu.wakeWriter()
	}
}

// discard releases s, which is out of the list: now, or when the last holder lets go of it. Called
// with mu held.
func (b *Buffer) discard(s *segment) {
	s.gone = true
	if s.holds > 0 {
		return
	}
	if b.mu.unlinked && !b.mu.ended() && b.mu.spare == nil && cap(s.buf) == b.windowSegment() {
		b.mu.spare = s
		return
	}
	b.uncharge(s)
}

// uncharge gives back what s has. Nobody may hold s. Called with mu held.
func (b *Buffer) uncharge(s *segment) {
	if !s.taken {
		b.opts.Memory.Free(s.buf)
	}
	if s.charged > 0 {
		b.opts.Release(s.charged)
	}
	s.charged, s.buf = 0, nil
	if s.backing != nil {
		s.backing.Drop()
		s.backing = nil
	}
}

// takeSpare returns the spare segment, emptied, or nil if there is none. Called with mu held.
func (b *Buffer) takeSpare() *segment {
	s := b.mu.spare
	if s == nil {
		return nil
	}
	b.mu.spare = nil
	buf, charged := s.buf[:0], s.charged
	s.buf, s.charged = nil, 0
	return &segment{buf: buf, charged: charged}
}

// letGo ends one hold of s. Called with mu held.
func (b *Buffer) letGo(s *segment) {
	s.holds--
	if s.gone {
		b.discard(s)
	}
}

// freeSpare is called with mu held.
func (b *Buffer) freeSpare() {
	if b.mu.spare != nil {
		b.uncharge(b.mu.spare)
		b.mu.spare = nil
	}
}

// freeIfDone releases everything once the owner has closed the buffer and no reader is left. Called
// with mu held.
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

// AppendTo appends the body to dst. The owner of a Buffer without backing may call it after a
// Finish without error.
func (b *Buffer) AppendTo(dst []byte) []byte {
	for s := b.mu.head; s != nil; s = s.next {
		dst = append(dst, s.buf...)
	}
	return dst
}

// Take hands the body to the owner of a Buffer without backing, after a Finish without error. It
// returns the non-empty segments, which never change again, and the bytes reserved for them. The
// owner must free the segments and release the bytes, not before the attached readers have left:
// they go on over the same memory.
//
// Take copies a small body, or the last segment, where that frees enough unused memory.
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
		if len(s.buf) > 0 {
			segments = append(segments, s.buf)
			charged += s.charged
			s.charged, s.taken = 0, true
		}
	}
	return segments, charged
}

// compact replaces all segments of a small body, or else the last one, by one segment without
// unused memory, where that is worth a copy.
func (b *Buffer) compact() {
	size := b.mu.size
	if size == 0 {
		return
	}
	from := b.mu.tail
	if size <= maxGuess && b.mu.head.next != b.mu.tail {
		from = b.mu.head.next
	}
	n := b.opts.Memory.Size(int(size - from.start))
	if unused := b.mu.capacity - from.start - int64(n); from == b.mu.tail && unused <= size/16 {
		return
	}
	if !b.opts.Reserve(int64(n)) {
		return
	}
	whole := &segment{start: from.start, charged: int64(n)}
	if n > 0 {
		whole.buf = b.opts.Memory.Alloc(n)
	}
	for s := from; s != nil; s = s.next {
		whole.buf = append(whole.buf, s.buf...)
	}

	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.mu.head
	for before.next != from {
		before = before.next
	}
	before.next = whole
	b.mu.tail = whole
	b.mu.capacity = whole.start + int64(n)
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
