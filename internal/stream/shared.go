package stream

import "sync"

// shared is what the readers and the writer of a Buffer have in common. Its methods are called with
// the lock held.
type shared struct {
	sync.Mutex

	// The segments, oldest first. The list is never empty: it starts with a segment of no capacity.
	// Only the writer appends, and dropRead never removes the tail.
	head, tail *segment
	capacity   int64    // of the segments in the list
	spare      *segment // an empty one that the window can use again

	size    int64 // bytes published
	readers []*Reader

	unlinked bool
	finished bool  // the body is whole
	aborted  error // why it will never be
	closed   bool  // the owner has called Close

	// wake is closed when there is news for readers, room when there is news for the writer. A
	// channel exists only while somebody waits for it.
	wake, room chan struct{}
}

func (m *shared) ended() bool { return m.finished || m.aborted != nil }

func (m *shared) wakeReaders() {
	if m.wake != nil {
		close(m.wake)
		m.wake = nil
	}
}

func (m *shared) wakeWriter() {
	if m.room != nil {
		close(m.room)
		m.room = nil
	}
}
