// Package stream holds a body while it is being written. Any number of readers follow it at their
// own pace.
//
// A [Buffer] starts linked: it keeps the whole body, and readers may come at any time. When memory
// for more is refused, or on request, it becomes unlinked: it takes no new readers and keeps a
// bounded window for those it has. The slowest of these then paces the writer.
//
// Buffer.mu guards everything that readers and the writer share. It is never held while bytes are
// copied, while memory is reserved, or during a call of a reader's io.Writer. Published bytes never
// change, so readers use them without the lock.
package stream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cirquecache/cirque/internal/offheap"
)

// The errors of a Buffer. The root package exports them under the same names.
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
	// SizeHint is the expected length of the body in bytes; zero or less: unknown. With a right
	// hint there are fewer segments and less to copy. No more than one segment is ever allocated
	// because of it.
	SizeHint int64

	// Reserve is called with the bytes of every segment before it is allocated, and Release gives
	// them back. Both or neither are set. Release must not call the Buffer. An unlinked Buffer
	// allocates its window even where Reserve refuses it, so that its readers get their bytes: at
	// most Window bytes are not reserved then.
	Reserve func(n int64) bool
	Release func(n int64)

	// Memory, if not nil, is where the segments come from. Nil: the heap. The Buffer frees a
	// segment when neither its writer nor a reader uses it any more.
	Memory *offheap.Memory

	// Backing, if not nil, holds the body while the Buffer is linked. The Buffer owns it. Reserve
	// is called for the window only then.
	Backing Backing

	// Window is how many bytes an unlinked Buffer keeps for its readers. Zero or less:
	// DefaultWindow. The least is 4 KiB.
	Window int64

	// StallTimeout is how long a reader of an unlinked Buffer may delay a Write while it reads less
	// than a quarter of the window. Zero or less: DefaultStallTimeout.
	StallTimeout time.Duration
}

// Buffer is the append-only body of one write.
//
// One goroutine at a time is its writer: it may call Write, ReadFrom, Finish, Abort, Unlink,
// AppendTo, Take and Close. Any goroutine may call NewReader, Size, Readers and Unlinked at any
// time.
//
// INVARIANT: the bytes reserved, and neither released nor taken over, are exactly the capacity of
// the charged segments that are in the list, out of it and held by a reader, or spare.
type Buffer struct {
	ctx  context.Context
	opts Options

	failed  error    // the first error of Write; only the writer uses it
	writing *segment // the one that the writer fills without the lock; counted in its holds

	mu shared
}

// heap is the Memory of Buffers without one.
var heap = offheap.New(true)

// New returns a Buffer. ctx covers the whole write: when it is cancelled, Write fails, even one
// that is blocked.
func New(ctx context.Context, opts Options) *Buffer {
	if opts.Reserve == nil {
		opts.Reserve = func(int64) bool { return true }
		opts.Release = func(int64) {}
	}
	if opts.Memory == nil {
		opts.Memory = heap
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

// Unlink makes the write go on for the readers it has and for nobody else. After the write has
// ended it does nothing.
func (b *Buffer) Unlink() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unlink()
}

// Finish says that the body is whole: readers get io.EOF at its end. It returns ErrUnlinked if the
// buffer does not hold the whole body. If a Write has failed, Finish aborts the write and returns
// that error.
func (b *Buffer) Finish() error {
	if b.failed != nil {
		b.Abort(b.failed)
		return b.failed
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.ended() {
		return ErrEnded
	}
	b.mu.finished = true
	b.mu.wakeReaders()
	b.freeSpare()
	if b.mu.unlinked {
		return ErrUnlinked
	}
	return nil
}

// Abort gives up: readers get what was written so far and then an error that wraps ErrAborted and
// err, which may be nil. It closes the Buffer. After Finish or Abort it does nothing.
func (b *Buffer) Abort(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.ended() {
		return
	}
	b.mu.aborted = ErrAborted
	if err != nil {
		b.mu.aborted = fmt.Errorf("%w: %w", ErrAborted, err)
	}
	b.mu.wakeReaders()
	b.close()
}

// Close says that the owner is done: no more readers may come, and when the last one has left,
// everything reserved is released. It aborts a write that has not ended. Closing again does
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
