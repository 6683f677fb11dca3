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

// errStalled is what the reader of a body gets that did not read on while its memory was wanted.
var errStalled = fmt.Errorf("middleware: the reader of a response stalled while there was no room for others: %w", cirque.ErrSlowReader)

const (
	// sendMin is from which length on the sending of a body is watched. Smaller ones fit into the
	// buffers of a connection.
	minWatched = 64 << 10

	// sendUnit is how much a client may take Config.StallTimeout for.
	stallUnit = 256 << 10

	// sendLook is how long a look at the clients serves.
	sendCheckInterval = 100 * time.Millisecond
)

// sends are the large bodies on their way to clients. What a client has open cannot be evicted,
// however long it does not read. So when the Storage finds no room, the clients that have stalled
// for Config.StallTimeout are dropped, as many as there are; as long as there is room they may take
// their time.
//
// Lock order: mu before pulled.mu. drop is called with mu held: after remove it is not called.
type sends struct {
	stall     time.Duration
	count     atomic.Int64
	nextCheck atomic.Int64 // when to look again, Unix nanoseconds

	mu    sync.Mutex
	first *send
	stop  []func() // end the calls of press; nil once the cache is closed
}

// close ends the calls of press by Budgets that live on.
func (s *sends) close() {
	s.mu.Lock()
	stop := s.stop
	s.stop = nil
	s.mu.Unlock()
	for _, f := range stop {
		f()
	}
}

// send is one of them. due is when the client has to have taken what it was given, Unix
// nanoseconds; zero while it is not the client that is waited for.
type send struct {
	sends      *sends
	prev, next *send
	due        atomic.Int64
	drop       func() // must not block
}

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

func (one *send) remove() {
	s := one.sends
	s.mu.Lock()
	defer s.mu.Unlock()
	if one.prev == nil && s.first != one {
		return // removed already
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

// setDue notes that the client has got, or is being given, n bytes.
func (one *send) setDue(n int) {
	allowed := one.sends.stall * time.Duration(max(1, (n+stallUnit-1)/stallUnit))
	one.due.Store(time.Now().Add(allowed).UnixNano())
}

// clearDue notes that it is not the client that is waited for.
func (one *send) clearDue() { one.due.Store(0) }

// onRefusal drops the clients that have stalled, on a goroutine of its own: the caller may hold any
// lock.
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

func (s *sends) dropStalled(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := s.first; one != nil; one = one.next {
		if due := one.due.Load(); due != 0 && due < now {
			one.drop()
		}
	}
}

// watchedWriter writes what a client is sent.
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

var watchedBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// ReadFrom implements io.ReaderFrom, for bodies that are no io.WriterTo, as net/http does: through
// a buffer that is used again.
func (w *watchedWriter) ReadFrom(r io.Reader) (int64, error) {
	buf := watchedBuffers.Get().(*[32 << 10]byte)
	defer watchedBuffers.Put(buf)
	return io.CopyBuffer(writerOnly{w}, r, buf[:])
}

// watched returns w, or if the body is large a writer that has the client dropped should it stall
// while room is wanted, and what ends that. A ResponseWriter whose write deadline cannot be set
// keeps its client.
func (c *Cache) watched(w http.ResponseWriter, a *answer) (io.Writer, func()) {
	if 0 <= a.length && a.length < minWatched {
		return w, nil
	}
	control := http.NewResponseController(w)
	one := c.sends.add(func() { _ = control.SetWriteDeadline(time.Unix(1, 0)) })
	return &watchedWriter{w, one}, one.remove
}

// pulled is a large body that a caller of the Transport reads as it likes.
type pulledBody struct {
	send *send

	mu     sync.Mutex // held while body is at work
	body   io.ReadCloser
	failed error
}

// pulledBody returns body, or if it is large one that fails should its reader stall while room is
// wanted.
func (c *Cache) pulledBody(a *answer) io.ReadCloser {
	if 0 <= a.length && a.length < minWatched {
		return a.body
	}
	p := &pulledBody{body: a.body}
	p.send = c.sends.add(p.drop)
	p.send.setDue(0)
	return p
}

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

// WriteTo implements io.WriterTo: w gets the stored bytes themselves. What is in w's hands cannot
// be taken back, so the body stays open until w has returned.
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
