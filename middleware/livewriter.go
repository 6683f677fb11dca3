package middleware

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// liveWriter sends a client a body that is still being fetched. It flushes where the handler behind
// the cache flushed. So the client sees what the handler wants it to see, and a middleware that
// compresses does so as well as without the cache. If the flight is not known, liveWriter flushes
// after each write.
//
// access is a channel and not a mutex because a slow client holds it for long, and a mutex would
// stop the clock of synctest then.
//
// The client's goroutine writes. When the handler flushes, that goroutine may be waiting for more
// of the body. Then another goroutine flushes, because the handler must not wait for the client.
type liveWriter struct {
	w       io.Writer // to the client
	control *http.ResponseController
	flight  *flight // nil if it is not known
	err     error   // of writing to the client, not of reading the body; used by the client's goroutine

	writtenTo atomic.Int64 // how far in the body of the fill w has written
	flushedTo atomic.Int64 // how much of that is flushed, plus one; zero if not even the header is
	closed    atomic.Bool  // w must not be used any more
	idle      atomic.Bool  // no background flush is running, so one may start

	access   chan struct{} // guards w: its holder has sent to it
	flushErr error         // of a background flush; guarded by access
	panicked any           // what a background flush panicked with; guarded by access

	next, prev *liveWriter // guarded by flushes.mu
}

// newLiveWriter returns the writer for the body of a. It writes by way of to, which writes to w,
// and flushes w. The header of a must have been written to w.
func newLiveWriter(w http.ResponseWriter, to io.Writer, a *answer) *liveWriter {
	l := &liveWriter{w: to, control: http.NewResponseController(w), flight: a.flight, access: make(chan struct{}, 1)}
	l.idle.Store(true)
	if part, ok := a.body.(*sectionReader); ok {
		l.writtenTo.Store(part.next.start)
	}
	if l.flight == nil {
		return l
	}
	l.flight.flushes.add(l)
	l.access <- struct{}{}
	defer l.release()
	l.err = l.flushIfDue()
	return l
}

// Write implements io.Writer.
func (l *liveWriter) Write(p []byte) (n int, err error) {
	l.access <- struct{}{}
	defer l.release()
	if l.panicked != nil {
		panic(l.panicked)
	}
	if l.err == nil {
		l.err = l.flushErr
	}
	if l.err != nil {
		return 0, l.err
	}
	n, l.err = l.w.Write(p)
	l.writtenTo.Add(int64(n))
	if l.err == nil {
		l.err = l.flushIfDue()
	}
	return n, l.err
}

// release gives up access.
func (l *liveWriter) release() { <-l.access }

// flush flushes what was written.
func (l *liveWriter) flush() {
	l.access <- struct{}{}
	defer l.release()
	if l.err == nil {
		l.err = l.flushNow()
	}
}

// flushIfDue flushes if the client has all that the handler has flushed, and that is not flushed
// yet. The caller has access.
func (l *liveWriter) flushIfDue() error {
	if l.flight != nil && !l.flushDue() {
		return nil
	}
	return l.flushNow()
}

// flushDue reports whether there is something to flush. What the handler has flushed is due as soon
// as all of it is written to the client.
func (l *liveWriter) flushDue() bool {
	mark := l.flight.flushes.mark.Load()
	return mark > l.flushedTo.Load() && l.writtenTo.Load() >= mark-1 && !l.closed.Load()
}

// flushNow flushes. The caller has access.
func (l *liveWriter) flushNow() error {
	err := l.control.Flush()
	l.flushedTo.Store(l.writtenTo.Load() + 1)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// flushInBackground flushes on another goroutine, if that is due: the client's goroutine is
// probably waiting for the body then.
func (l *liveWriter) flushInBackground() {
	if l.flushDue() && l.idle.CompareAndSwap(true, false) {
		go l.runBackgroundFlush()
	}
}

// runBackgroundFlush is that goroutine.
func (l *liveWriter) runBackgroundFlush() {
	l.backgroundFlush()
	l.idle.Store(true)
	l.flushInBackground() // the handler may have flushed again in the meantime
}

// backgroundFlush flushes if that is still due, and keeps an error or a panic for the client's
// goroutine.
func (l *liveWriter) backgroundFlush() {
	l.access <- struct{}{}
	defer l.release()
	defer func() {
		if p := recover(); p != nil {
			l.panicked = p // for the client's goroutine
			l.closed.Store(true)
		}
	}()
	if l.flushErr == nil && l.panicked == nil && l.flushDue() {
		l.flushErr = l.flushNow()
	}
}

// close ends the use of w, and waits for a goroutine that still uses it.
func (l *liveWriter) close() {
	if l.flight != nil {
		l.flight.flushes.remove(l)
	}
	l.closed.Store(true)
	l.access <- struct{}{}
	defer l.release()
	if p := l.panicked; p != nil {
		l.panicked = nil
		panic(p)
	}
}

// flushes says how far the handler of a flight has flushed, and which writers have to flush as far.
type flushes struct {
	mark atomic.Int64 // bytes of the fill's body, plus one; zero if it has not flushed
	mu   sync.Mutex
	live *liveWriter // the first of the writers that send the body; guarded by mu
}

// flushed notes that the handler has flushed the first n bytes of the body.
func (f *flushes) flushed(n int64) {
	f.mark.Store(n + 1)
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := f.live; l != nil; l = l.next {
		l.flushInBackground()
	}
}

func (f *flushes) add(l *liveWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.next = f.live; l.next != nil {
		l.next.prev = l
	}
	f.live = l
}

// remove removes l. It may be called again.
func (f *flushes) remove(l *liveWriter) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case l.prev != nil:
		l.prev.next = l.next
	case f.live == l:
		f.live = l.next
	}
	if l.next != nil {
		l.next.prev = l.prev
	}
	l.next, l.prev = nil, nil
}
