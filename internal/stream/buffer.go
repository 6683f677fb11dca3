// Package stream holds a body while it is being written, for any number of readers that follow it
// at their own pace.
//
// A [Buffer] starts out linked: it keeps the whole body, and readers may come at any time. Where
// the memory for more is refused, or on request, it becomes unlinked: it takes no new readers
// and keeps a bounded window for those it has, the slowest of which then paces the writer.
//
// Locking: everything that readers and the writer share is under Buffer.mu, which is never held
// while bytes are copied, while memory is reserved, or while a reader's io.Writer is at work.
// Published bytes never change, so a reader works on them without the lock.
package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// The errors of a Buffer. They are the root package's too, which gives them to users under the same
// names.
var (
	ErrAborted    = errors.New("cirque: write was aborted")
	ErrUnlinked   = errors.New("cirque: write was unlinked from the store")
	ErrNoReaders  = errors.New("cirque: unlinked write has no readers left")
	ErrSlowReader = errors.New("cirque: reader stalled while its memory was wanted")

	// ErrEnded is what the writer's calls return after Finish or Abort.
	ErrEnded = errors.New("stream: write has ended")
)

// The defaults of Options.
const (
	DefaultWindow       = 64 << 10
	DefaultStallTimeout = 30 * time.Second
)

// Options configure a Buffer. The zero value is a Buffer without limit.
type Options struct {
	// SizeHint is the expected length of the body in bytes; zero or less: unknown. It saves
	// segments and trimming, and is never trusted with memory beyond one segment.
	SizeHint int64

	// Reserve is asked for the bytes of every segment before that is allocated, and Release gets
	// them back. Both or neither are set. Release must not call the Buffer. The window of an
	// unlinked Buffer asks too, and where it is refused takes its Window bytes all the same: its
	// readers are to get their bytes, and what is beyond the budget then is bounded by the window.
	Reserve func(n int64) bool
	Release func(n int64)

	// Backing, if not nil, keeps the body while the Buffer is linked. The Buffer owns it. Reserve
	// then is asked for the window only.
	Backing Backing

	// Window is what an unlinked Buffer keeps for its readers, in bytes: DefaultWindow if it is
	// zero or less, at least 4 KiB.
	Window int64

	// StallTimeout is how long the slowest reader of an unlinked Buffer may hold up a Write without
	// reading on by a quarter of the window. Zero or less: DefaultStallTimeout.
	StallTimeout time.Duration
}

// Buffer is the append-only body of one write.
//
// One goroutine at a time is its writer: Write, Finish, Abort, Unlink, Take, Close. NewReader
// and the questions (Size, Readers, Unlinked) may be called by any goroutine at any time.
//
// INVARIANT: what was reserved and not yet released or taken over is exactly the capacity of the
// segments that are in the list, or off it with a reader still at work on them, or spare.
type Buffer struct {
	ctx  context.Context
	opts Options

	// failed is the first error of Write; the writer's own.
	failed error

	mu struct {
		sync.Mutex

		// The segments, oldest first; the list is never empty, it starts with one of no capacity.
		// Only the writer appends, and the tail stays while it is the tail.
		head, tail *segment
		capacity   int64 // of the segments in the list
		spare      *segment

		size    int64 // bytes published
		readers []*Reader

		unlinked bool
		finished bool  // with success
		aborted  error // why not
		closed   bool  // the owner is done with it

		// wake is closed when there is news for readers, room when there is for the writer. They
		// exist only while somebody waits.
		wake, room chan struct{}
	}
}

// New returns a Buffer. ctx covers the whole write: when it is cancelled, Write fails, a blocked
// one too.
func New(ctx context.Context, opts Options) *Buffer {
	if opts.Reserve == nil {
		opts.Reserve = func(int64) bool { return true }
		opts.Release = func(int64) {}
	}
	if opts.Window <= 0 {
		opts.Window = DefaultWindow
	}
	opts.Window = max(opts.Window, minSegment)
	if opts.StallTimeout <= 0 {
		opts.StallTimeout = DefaultStallTimeout
	}

	b := &Buffer{ctx: ctx, opts: opts}
	b.mu.head = &segment{backing: opts.Backing}
	b.mu.tail = b.mu.head
	return b
}

// Size returns the bytes written so far.
func (b *Buffer) Size() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.size
}

// Readers returns how many readers are attached now.
func (b *Buffer) Readers() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.mu.readers)
}

// Unlinked reports whether the write is unlinked.
func (b *Buffer) Unlinked() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.unlinked
}

// Unlink makes the write go on for the readers it has and nobody else. Once the write has ended it
// does nothing.
func (b *Buffer) Unlink() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink()
}

// unlink is called with mu held.
func (b *Buffer) unlink() {
	if b.ended() || b.mu.unlinked {
		return
	}
	b.mu.unlinked = true
	if b.mu.head.backing != nil {
		b.leaveBacking()
	}
	b.dropRead()
}

// ended is called with mu held.
func (b *Buffer) ended() bool { return b.mu.finished || b.mu.aborted != nil }

// Finish says that the body is whole: readers that come to its end get io.EOF. It returns the
// Unlinked error where the buffer does not hold the body any more, and the error of a failed Write,
// after which the write counts as aborted.
func (b *Buffer) Finish() error {
	if b.failed != nil {
		b.Abort(b.failed)
		return b.failed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended() {
		return ErrEnded
	}
	b.mu.finished = true
	b.wakeReaders()
	b.freeSpare()
	if b.mu.unlinked {
		return ErrUnlinked
	}
	return nil
}

// Abort gives up: readers get what was written so far and then an error that wraps the Aborted
// error and err, which may be nil. It closes the Buffer. After Finish or Abort it does nothing.
func (b *Buffer) Abort(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended() {
		return
	}
	b.mu.aborted = ErrAborted
	if err != nil {
		b.mu.aborted = fmt.Errorf("%w: %w", ErrAborted, err)
	}
	b.wakeReaders()
	b.close()
}

// Close says that the owner is done: there will be no more readers, and when the last has left,
// everything reserved is released. A write that has not ended is aborted. Closing again does
// nothing.
func (b *Buffer) Close() {
	b.Abort(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.close()
}

// close is called with mu held.
func (b *Buffer) close() {
	if b.mu.closed {
		return
	}
	b.mu.closed = true
	b.freeSpare()
	b.freeIfDone()
}

// wakeReaders is called with mu held.
func (b *Buffer) wakeReaders() {
	if b.mu.wake != nil {
		close(b.mu.wake)
		b.mu.wake = nil
	}
}

// wakeWriter is called with mu held.
func (b *Buffer) wakeWriter() {
	if b.mu.room != nil {
		close(b.mu.room)
		b.mu.room = nil
	}
}
