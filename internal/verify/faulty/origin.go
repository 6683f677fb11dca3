package faulty

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// maxRequest bounds the size of one request, header and body together.
const maxRequest = 16 << 20

// Origin is an HTTP/1.1 server on a loopback port that plays a script. Its methods are safe for
// concurrent use.
type Origin struct {
	Journal

	// URL is the base URL, without a final slash.
	URL string

	addr   string
	script func(*http.Request) Answer
	ctx    context.Context // done when the origin closes
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu        sync.Mutex
	listener  net.Listener // nil while refusing
	refusing  int          // calls of Refuse that are in effect
	conns     map[*net.TCPConn]struct{}
	connected int
}

// NewOrigin starts an origin that calls script for the answer to each request, from many goroutines
// at once. The script sees the first 4 KiB of the request's body. The request's context ends with
// the origin.
//
// The origin closes at the end of t. If t is nil, the caller must close it. NewOrigin panics if it
// cannot get a port.
func NewOrigin(t testing.TB, script func(*http.Request) Answer) *Origin {
	listener := listen()
	o := &Origin{
		URL:      "http://" + listener.Addr().String(),
		addr:     listener.Addr().String(),
		script:   script,
		listener: listener,
		conns:    make(map[*net.TCPConn]struct{}),
	}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.wg.Go(func() { o.accept(listener) })
	if t != nil {
		t.Cleanup(o.Close)
	}
	return o
}

// RefusedURL returns the base URL of a port on which nothing listens.
func RefusedURL() string {
	listener := listen()
	defer listener.Close()
	return "http://" + listener.Addr().String()
}

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(fmt.Sprintf("faulty: %v", err))
	}
	return listener
}

// Close resets all connections and waits for the origin's goroutines, so a script that blocks must
// watch its request's context. Close may be called more than once.
func (o *Origin) Close() {
	o.mu.Lock()
	o.cancel()
	o.hangUp()
	o.mu.Unlock()
	o.wg.Wait()
}

// Refuse resets all connections and closes the port to new ones, as a crash would, until the
// function that it returns is called. Refusals nest.
func (o *Origin) Refuse() (accept func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refusing++
	o.hangUp()
	return sync.OnceFunc(o.resume)
}

// hangUp closes the port and resets the connections. o.mu must be held.
func (o *Origin) hangUp() {
	if o.listener != nil {
		o.listener.Close()
		o.listener = nil
	}
	for conn := range o.conns {
		reset(conn)
	}
}

// resume ends one refusal. Another process may have taken the port, so it tries until the port is
// free or the origin closes.
func (o *Origin) resume() {
	o.mu.Lock()
	o.refusing--
	o.mu.Unlock()
	for !o.reopen() && pause(o.ctx, time.Millisecond) == nil {
	}
}

// reopen listens again, unless the origin still refuses or is closed. It returns false if the
// caller should try again.
func (o *Origin) reopen() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.refusing > 0 || o.listener != nil || o.ctx.Err() != nil {
		return true
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return false
	}
	o.listener = listener
	o.wg.Go(func() { o.accept(listener) })
	return true
}

// Connections returns the number of open connections, and the number made in total.
func (o *Origin) Connections() (open, total int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.conns), o.connected
}

func (o *Origin) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		switch {
		case err == nil:
			o.begin(conn.(*net.TCPConn))
		case errors.Is(err, net.ErrClosed):
			return
		default: // for example, the process is out of file descriptors
			pause(o.ctx, time.Millisecond)
		}
	}
}

func (o *Origin) begin(conn *net.TCPConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.listener == nil { // the connection was accepted while the port was being closed
		reset(conn)
		return
	}
	o.connected++
	o.conns[conn] = struct{}{}
	o.wg.Go(func() {
		o.serve(conn)
		conn.Close()
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.conns, conn)
	})
}

// serve answers the requests of one connection.
func (o *Origin) serve(conn *net.TCPConn) {
	limited := &io.LimitedReader{R: conn}
	in := bufio.NewReader(limited)
	for {
		limited.N = maxRequest
		r, err := http.ReadRequest(in)
		if err != nil {
			if o.ctx.Err() == nil && !errors.Is(err, io.EOF) {
				io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			}
			return
		}
		if strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
			io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		}
		if err := o.Journal.request(r); err != nil {
			return
		}
		r = r.WithContext(o.ctx)
		answer := o.script(r)
		x := exchange{newPlan(answer, r, o.Journal.fault(answer.Kind)), o.Refuse, conn, in}
		sent, err := x.play(o.ctx)
		x.done(sent, err)
		if err != nil || r.Close {
			return
		}
	}
}
