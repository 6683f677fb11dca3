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

	at     atomic.Int64 // where in the body of the fill w has got to
	done   atomic.Int64 // what of it is flushed, plus one; zero: not even the header
	over   atomic.Bool  // w must not be used any more
	asleep atomic.Bool  // no goroutine but the client's is using w: another may begin to

	turn     chan struct{} // guards w; a slow client holds it for long, so no mutex, which would stop the clock of synctest
	flushErr error         // of another goroutine's flush; guarded by turn
	panicked any           // what that panicked with; guarded by turn

	next, prev *liveWriter // guarded by flushes.mu
}

// newLiveWriter returns the writer for a's body: it writes to "to", and flushes w, which that
// writes to. a's header must have been written to w.
func newLiveWriter(w http.ResponseWriter, to io.Writer, a *answer) *liveWriter {
	l := &liveWriter{w: to, control: http.NewResponseController(w), flight: a.flight, turn: make(chan struct{}, 1)}
	l.asleep.Store(true)
	if part, ok := a.body.(*sectionReader); ok {
		l.at.Store(part.next.start)
	}
	if l.flight == nil {
		return l
	}
	l.flight.flushes.add(l)
	l.turn <- struct{}{}
	defer l.release()
	l.err = l.flushIfDue()
	return l
}

// Write implements io.Writer.
func (l *liveWriter) Write(p []byte) (n int, err error) {
	l.turn <- struct{}{}
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
	l.at.Add(int64(n))
	if l.err == nil {
		l.err = l.flushIfDue()
	}
	return n, l.err
}

func (l *liveWriter) release() { <-l.turn }

// flush flushes what was written.
func (l *liveWriter) flush() {
	l.turn <- struct{}{}
	defer l.release()
	if l.err == nil {
		l.err = l.flushNow()
	}
}

// flushIfDue flushes if the client has what the handler has flushed, and that was not flushed yet.
// the caller has the turn.
func (l *liveWriter) flushIfDue() error {
	if l.flight != nil && !l.due() {
		return nil
	}
	return l.flushNow()
}

// due reports whether there is something to flush. What the client has not come to yet is flushed
// when it has.
func (l *liveWriter) due() bool {
	mark := l.flight.flushes.mark.Load()
	return mark > l.done.Load() && l.at.Load() >= mark-1 && !l.over.Load()
}

// flushNow flushes. the caller has the turn.
func (l *liveWriter) flushNow() error {
	err := l.control.Flush()
	l.done.Store(l.at.Load() + 1)
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// wake flushes on a goroutine of its own, if that is due: then the client's goroutine is likely to
// be waiting for the body.
func (l *liveWriter) wake() {
	if l.due() && l.asleep.CompareAndSwap(true, false) {
		go l.flushAside()
	}
}

func (l *liveWriter) flushAside() {
	l.flushOnce()
	l.asleep.Store(true)
	l.wake() // the handler may have flushed again meanwhile
}

func (l *liveWriter) flushOnce() {
	l.turn <- struct{}{}
	defer l.release()
	defer func() {
		if p := recover(); p != nil {
			l.panicked = p // for the client's goroutine
			l.over.Store(true)
		}
	}()
	if l.flushErr == nil && l.panicked == nil && l.due() {
		l.flushErr = l.flushNow()
	}
}

// end says that w is not to be used any more, and waits for who is using it.
func (l *liveWriter) end() {
	if l.flight != nil {
		l.flight.flushes.remove(l)
	}
	l.over.Store(true)
	l.turn <- struct{}{}
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
		l.wake()
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
