package middleware

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// liveWriter sends a client a body that is still being fetched. It flushes where the handler behind
// the cache did, so that what that wants to be seen is seen, and a middleware that compresses does
// it as well as without the cache. Where nothing is known of the fetch it flushes whatever comes.
//
// The client's goroutine writes. It may be waiting for more of the body when the handler flushes:
// then another goroutine flushes, as the handler must not wait for the client.
type liveWriter struct {
	w       io.Writer // to the client
	control *http.ResponseController
	flight  *flight // nil where it is not known
	err     error   // of the client, as opposed to the body's; for the client's goroutine

	writtenTo atomic.Int64 // where in the body of the fill w has got to
	flushedTo atomic.Int64 // what of it is flushed, plus one; zero: not even the header
	closed    atomic.Bool  // w must not be used any more
	idle      atomic.Bool  // no goroutine but the client's is using w: another may begin to

	access   chan struct{} // guards w; a slow client holds it for long, so no mutex, which would stop the clock of synctest
	flushErr error         // of another goroutine's flush; guarded by turn
	panicked any           // what that panicked with; guarded by turn

	next, prev *liveWriter // guarded by flushes.mu
}

// newLiveWriter returns the writer for a's body: it writes to "to", and flushes w, which that
// writes to. a's header must have been written to w.
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

func (l *liveWriter) release() { <-l.access }

// flush flushes what was written.
func (l *liveWriter) flush() {
	l.access <- struct{}{}
	defer l.release()
	if l.err == nil {
		l.err = l.flushNow()
	}
}

// flushIfDue flushes if the client has what the handler has flushed, and that was not flushed yet.
// the caller has the turn.
func (l *liveWriter) flushIfDue() error {
	if l.flight != nil && !l.flushDue() {
		return nil
	}
	return l.flushNow()
}

// flushDue reports whether there is something to flush. What the client has not come to yet is flushed
// when it has.
func (l *liveWriter) flushDue() bool {
	mark := l.flight.flushes.mark.Load()
	return mark > l.flushedTo.Load() && l.writtenTo.Load() >= mark-1 && !l.closed.Load()
}

// flushNow flushes. the caller has the turn.
func (l *liveWriter) flushNow() error {
	err := l.control.Flush()
	l.flushedTo.Store(l.writtenTo.Load() + 1)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// flushInBackground flushes on a goroutine of its own, if that is due: then the client's goroutine is likely to
// be waiting for the body.
func (l *liveWriter) flushInBackground() {
	if l.flushDue() && l.idle.CompareAndSwap(true, false) {
		go l.runBackgroundFlush()
	}
}

func (l *liveWriter) runBackgroundFlush() {
	l.backgroundFlush()
	l.idle.Store(true)
	l.flushInBackground() // the handler may have flushed again meanwhile
}

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

// close says that w is not to be used any more, and waits for who is using it.
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

// flushes is how far the handler of a flight has flushed, and who has to do as it did.
type flushes struct {
	mark atomic.Int64 // bytes of the fill's body, plus one; zero: it has not flushed
	mu   sync.Mutex
	live *liveWriter // the first of those who send the body on; guarded by mu
}

// flushed says that the handler has flushed the first n bytes of the body.
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

// remove removes l, which may be gone already.
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
