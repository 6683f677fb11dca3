package stream

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
)

// ErrRange is what SeekRange returns for a range outside of the body.
var ErrRange = errors.New("stream: range outside of the body")

// Reader reads the body of a Buffer from its first byte on, at its own pace, also while it is being
// written. One goroutine at a time may use it. Close must be called.
type Reader struct {
	b   *Buffer
	ctx context.Context

	// b.mu guards the rest.
	pos, end int64    // the next position to read, and where the range ends
	at       *segment // the one that pos is in; counted in its readers
	held     *segment // the one that is read without the lock; counted in its holds
	index    int      // in b.mu.readers; -1: detached
	mark     int64    // pos when the writer began to wait for room
	failed   error    // why it was detached
}

// NewReader attaches a reader. It returns ErrUnlinked if the buffer is unlinked or closed, or its
// context has ended before the body, and the error of an aborted write. ctx covers the life of the
// reader: when it is cancelled, a blocked Read fails with its cause.
func (b *Buffer) NewReader(ctx context.Context) (*Reader, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.mu.aborted != nil:
		return nil, b.mu.aborted
	case b.mu.unlinked || b.mu.closed || !b.mu.finished && b.ctx.Err() != nil: // the body will not be whole
		return nil, ErrUnlinked
	}
	r := &Reader{b: b, ctx: ctx, end: math.MaxInt64, at: b.mu.head, index: len(b.mu.readers)}
	r.at.readers++
	b.mu.readers = append(b.mu.readers, r)
	return r, nil
}

// Read implements io.Reader: it blocks while there is nothing new, and ends with io.EOF only after
// Finish.
func (r *Reader) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	next, err := r.take(int64(len(p)))
	if err != nil {
		return 0, err
	}
	defer func() { r.advance(n) }()
	return next.read(p)
}

// WriteTo implements io.WriterTo: it writes the body to w piece by piece as it comes. w gets the
// memory of the Buffer itself, for the duration of each Write; what lies in the backing is copied.
func (r *Reader) WriteTo(w io.Writer) (total int64, err error) {
	for {
		next, err := r.take(math.MaxInt64)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := r.write(next, w)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// write writes what take returned to w and advances, also when w panics.
func (r *Reader) write(next piece, w io.Writer) (n int, err error) {
	defer func() { r.advance(n) }()
	return next.writeTo(w)
}

// take waits for the next bytes and returns up to limit of them. It holds their segment until
// advance.
func (r *Reader) take(limit int64) (piece, error) {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	for {
		switch {
		case r.failed != nil:
			return piece{}, r.failed
		case r.pos >= r.end:
			return piece{}, io.EOF
		}
		r.moveOn()
		if available := min(r.at.end(), r.end) - r.pos; available > 0 {
			r.held = r.at
			r.held.holds++
			return r.at.piece(r.pos, min(available, limit, b.chunk())), nil
		}
		switch {
		case b.mu.finished:
			return piece{}, io.EOF
		case b.mu.aborted != nil:
			return piece{}, b.mu.aborted
		}
		if err := r.wait(); err != nil {
			return piece{}, err
		}
	}
}

// chunk is the most that a reader takes at once. It is small enough for a slow reader to show
// progress before it counts as stalled. Called with mu held.
func (b *Buffer) chunk() int64 {
	switch {
	case b.mu.finished:
		return maxSegment
	case b.mu.unlinked:
		return int64(b.windowSegment())
	}
	return b.opts.Window
}

// wait waits until there is news for readers. Called with mu held, which it gives up meanwhile.
func (r *Reader) wait() error {
	b := r.b
	if b.mu.wake == nil {
		b.mu.wake = make(chan struct{})
	}
	wake := b.mu.wake
	b.mu.Unlock()
	defer b.mu.Lock()
	select {
	case <-wake:
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// advance lets go of what take returned, after n bytes of it were read.
func (r *Reader) advance(n int) {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	held := r.held
	r.held = nil
	r.b.letGo(held)
	r.pos += int64(n)
	if r.index >= 0 {
		r.moveOn()
	}
}

// moveOn moves an attached reader that has read all of its segment to the next one. Called with
// b.mu held.
func (r *Reader) moveOn() {
	for r.at.next != nil && r.pos >= r.at.next.start {
		r.move(r.at.next)
	}
}

// move is called with b.mu held.
func (r *Reader) move(to *segment) {
	r.at.readers--
	r.at = to
	to.readers++
	if r.b.mu.unlinked {
		r.b.dropRead()
	}
}

// detach takes r off the buffer, which does not wait for it any more. Called with b.mu held.
func (r *Reader) detach() {
	if r.index < 0 {
		return
	}
	b := r.b
	last := b.mu.readers[len(b.mu.readers)-1]
	b.mu.readers[r.index] = last
	last.index = r.index
	b.mu.readers[len(b.mu.readers)-1] = nil
	b.mu.readers = b.mu.readers[:len(b.mu.readers)-1]
	r.index = -1
	r.at.readers--
	r.at = nil
	if b.mu.unlinked {
		b.dropRead()
	}
	if len(b.mu.readers) == 0 {
		b.mu.wakeWriter()
		b.freeIfDone()
	}
}

// Size returns the length of the whole body; known is false until it is finished.
func (r *Reader) Size() (n int64, known bool) {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.b.mu.size, r.b.mu.finished
}

// CanSeek reports whether SeekRange will work: the buffer has the whole body.
func (r *Reader) CanSeek() bool {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	return r.canSeek()
}

// canSeek is called with b.mu held.
func (r *Reader) canSeek() bool { return r.b.mu.finished && !r.b.mu.unlinked && r.index >= 0 }

// SeekRange makes the following reads return the bytes [start, end) and then io.EOF. It returns
// errors.ErrUnsupported where CanSeek is false, and ErrRange, without effect, for a range outside
// of the body.
func (r *Reader) SeekRange(start, end int64) error {
	b := r.b
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !r.canSeek():
		return errors.ErrUnsupported
	case start < 0 || start > end || end > b.mu.size:
		return ErrRange
	}
	r.move(b.locate(start))
	r.pos, r.end = start, end
	return nil
}

// Close detaches the reader. A Read or WriteTo that another goroutine has not returned from keeps
// the segment that it holds until then. Closing again does nothing.
func (r *Reader) Close() error {
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	if r.failed == nil {
		r.failed = fs.ErrClosed
	}
	r.detach()
	return nil
}
