package stream

import "time"

// unlink is called with mu held.
func (b *Buffer) unlink() {
	if b.mu.ended() || b.mu.unlinked {
		return
	}
	b.mu.unlinked = true
	if b.mu.head.backing != nil {
		b.leaveBacking()
	}
	b.dropRead()
}

// leaveBacking ends the segment that lies in the backing, so that readers leave it as soon as they
// have read it. Called with mu held, when the buffer becomes unlinked.
func (b *Buffer) leaveBacking() {
	b.push(new(segment))
	for _, r := range b.mu.readers {
		r.moveOn()
	}
}

// windowFull reports whether the head has to go before another segment may come. Called with mu
// held.
//
// A single segment never has to go: it may date from when the buffer was linked, and be larger than
// the whole window, and its readers leave it only for another segment.
func (b *Buffer) windowFull() bool {
	return b.mu.unlinked && b.mu.head != b.mu.tail &&
		b.mu.capacity+int64(b.windowSegment()) > b.opts.Window
}

// awaitReaders waits until the head is dropped, no reader is left, or the context of the write has
// ended. It detaches readers that stay in the head for the stall timeout and read less than a
// window segment meanwhile. Called with mu held, which it gives up while it waits.
//
// A reader must make this much progress. One that may take a byte now and then would delay the
// writer and all other readers for ever.
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
	for i := len(b.mu.readers) - 1; i >= 0; i-- { // backwards: detach moves the last one to i
		r := b.mu.readers[i]
		if r.at == head && r.pos-r.mark < int64(b.windowSegment()) {
			r.failed = ErrSlowReader
			r.detach()
		}
		r.mark = r.pos
	}
}
