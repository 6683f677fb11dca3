package middleware

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// errStalled is the error that the reader of a body gets if it did not read on while its memory was
// needed.
var errStalled = fmt.Errorf("middleware: the reader of a response stalled while others needed its memory: %w", cirque.ErrSlowReader)

const (
	// minWatched is the length from which the sending of a body is watched, in bytes. Smaller
	// bodies fit into the buffers of a connection.
	minWatched = 64 << 10

	// stallUnit is how many bytes a client must take within Config.StallTimeout.
	stallUnit = 256 << 10

	// sendCheckInterval is the least time between two checks of the clients.
	sendCheckInterval = 100 * time.Millisecond
)

// sends are the large bodies that are being sent to clients. What a client has open cannot be
// evicted, however long the client does not read. So when the Storage finds no room, all clients
// that have stalled for Config.StallTimeout are dropped. While there is room, clients may take
// their time.
//
// Lock order: mu comes before pulledBody.mu. drop is called with mu held, and is not called after
// remove.
type sends struct {
	stall     time.Duration
	count     atomic.Int64
	nextCheck atomic.Int64 // when to check again, in Unix nanoseconds

	mu    sync.Mutex
	first *send
	stop  []func() // each ends the calls of onRefusal by one Budget; nil after close
}

// close ends the calls of onRefusal by the Budgets, which may outlive the cache.
func (s *sends) close() {
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	for _, f := range stop {
		f()
	}
}

// send is one such body. due is when the client must have taken what it was given, in Unix
// nanoseconds. It is zero while the client is not what is waited for.
type send struct {
	sends      *sends
	prev, next *send
	due        atomic.Int64
	drop       func() // must not block
}

// add adds a send. drop must end it.
func (s *sends) add(drop func()) *send {
	one := &send{sends: s, drop: drop}
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.next = s.first; one.next != nil {
		one.next.prev = one
	}
	s.first = one
	s.count.Add(1)
	return one
}

// remove removes the send. It may be called again.
func (one *send) remove() {
	s := one.sends
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.prev == nil && s.first != one {
		return // it was removed before
	}
	if one.next != nil {
		one.next.prev = one.prev
	}
	if one.prev != nil {
		one.prev.next = one.next
	} else {
		s.first = one.next
	}
	one.prev, one.next = nil, nil
	s.count.Add(-1)
}

// setDue notes that the client is being given n bytes, or was just given them.
func (one *send) setDue(n int) {
	allowed := one.sends.stall * time.Duration(max(1, (n+stallUnit-1)/stallUnit))
	one.due.Store(time.Now().Add(allowed).UnixNano())
}

// clearDue notes that what is waited for is not the client.
func (one *send) clearDue() { one.due.Store(0) }

// onRefusal drops the clients that have stalled. A Budget calls it when it has refused a
// reservation. It uses another goroutine, because its caller may hold any lock.
func (s *sends) onRefusal() {
	if s.count.Load() == 0 {
		return
	}
	now, next := time.Now(), s.nextCheck.Load()
	if now.UnixNano() < next || !s.nextCheck.CompareAndSwap(next, now.Add(sendCheckInterval).UnixNano()) {
		return
	}
	go s.dropStalled(now.UnixNano())
}

// dropStalled drops the clients that are past due.
func (s *sends) dropStalled(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := s.first; one != nil; one = one.next {
		if due := one.due.Load(); due != 0 && due < now {
			one.drop()
		}
	}
}

// watchedWriter writes what is sent to a client, and notes when the client has to have taken it.
type watchedWriter struct {
	w    io.Writer
	send *send
}

// Write implements io.Writer.
func (w *watchedWriter) Write(p []byte) (int, error) {
	w.send.setDue(len(p))
	defer w.send.clearDue()
	return w.w.Write(p)
}

// ReadFrom implements io.ReaderFrom, for bodies that do not implement io.WriterTo. Like net/http it
// uses a pooled buffer.
func (w *watchedWriter) ReadFrom(r io.Reader) (int64, error) {
	own := newCopyingWriter(writerOnly{w})
	defer own.release()
	return own.ReadFrom(r)
}

// watched returns to, which writes to w, or for a large body a writer whose client is dropped if it
// stalls while room is needed. The function, if not nil, ends that. If the write deadline of w
// cannot be set, the client is never dropped.
func (c *Cache) watched(w http.ResponseWriter, to io.Writer, a *answer) (io.Writer, func()) {
	if 0 <= a.length && a.length < minWatched {
		return to, nil
	}
	control := http.NewResponseController(w)
	one := c.sends.add(func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	return &watchedWriter{to, one}, one.remove
}

// pulledBody is a large body that the caller of a Transport reads at its own pace.
type pulledBody struct {
	send *send

	mu     sync.Mutex // held while body is being read
	body   io.ReadCloser
	failed error
}

// pulledBody returns the body of a, or for a large one a body that fails if its reader stalls while
// room is needed.
func (c *Cache) pulledBody(a *answer) io.ReadCloser {
	if 0 <= a.length && a.length < minWatched {
		return a.body
	}
	p := &pulledBody{body: a.body}
	p.send = c.sends.add(p.drop)
	p.send.setDue(0)
	return p
}

// drop closes a body whose reader has stalled.
func (p *pulledBody) drop() {
	if !p.mu.TryLock() {
		return // it is being read
	}
	defer p.mu.Unlock()
	if p.failed == nil {
		p.failed = errStalled
		_ = p.body.Close()
	}
}

// Read implements io.Reader.
func (p *pulledBody) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return 0, p.failed
	}
	p.send.clearDue()
	n, err := p.body.Read(b)
	p.send.setDue(n)
	return n, err
}

// WriteTo implements io.WriterTo, so that the body is not read into a buffer first. w may hold
// those bytes until it returns, so the body stays open until then.
func (p *pulledBody) WriteTo(w io.Writer) (int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return 0, p.failed
	}
	p.send.clearDue()
	defer p.send.setDue(0)
	return io.Copy(w, p.body)
}

// Close implements io.Closer.
func (p *pulledBody) Close() error {
	p.send.remove()
	if !p.mu.TryLock() {
		return p.body.Close() // while it is being read
	}
	defer p.mu.Unlock()
	if p.failed != nil {
		return nil
	}
	return p.body.Close()
}
