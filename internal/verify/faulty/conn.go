package faulty

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Conn is the client's end of an HTTP/1.1 connection, without the checks of a client library. It
// must be used by one goroutine at a time.
type Conn struct {
	*net.TCPConn

	// In must be used for reading, not the embedded Read: Receive reads ahead through In.
	In *bufio.Reader

	ctx  context.Context
	stop func() bool // stops watching ctx
	host string
}

// Reply is an answer as a client received it.
type Reply struct {
	Interim []int // statuses of the interim responses
	Status  int
	Header  http.Header
	Body    []byte // of a broken answer, the part that was received
}

// Dial connects to the host of rawURL, without TLS. When ctx ends, all reads and writes fail.
func Dial(ctx context.Context, rawURL string) (*Conn, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80")))
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	return &Conn{
		TCPConn: tcp,
		In:      bufio.NewReader(tcp),
		ctx:     ctx,
		stop:    context.AfterFunc(ctx, func() { tcp.SetDeadline(time.Unix(1, 0)) }),
		host:    u.Host,
	}, nil
}

// Send writes the requests at once, pipelined.
func (c *Conn) Send(requests ...Request) error {
	var b strings.Builder
	for _, r := range requests {
		b.WriteString(r.wire(c.host))
	}
	_, err := io.WriteString(c.TCPConn, b.String())
	return err
}

// SendPart writes the first n bytes of the request, or all if there are no more.
func (c *Conn) SendPart(r Request, n int64) error {
	wire := r.wire(c.host)
	_, err := io.WriteString(c.TCPConn, wire[:min(n, int64(len(wire)))])
	return err
}

// Receive reads the whole answer to a request with the given method. After an error the Reply holds
// what was received.
func (c *Conn) Receive(method string) (Reply, error) {
	var reply Reply
	for {
		resp, err := http.ReadResponse(c.In, &http.Request{Method: cmp.Or(method, http.MethodGet)})
		if err != nil {
			return reply, fmt.Errorf("reading an answer: %w", err)
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			reply.Interim = append(reply.Interim, resp.StatusCode)
			continue
		}
		reply.Status, reply.Header = resp.StatusCode, resp.Header
		reply.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxReply))
		switch {
		case err != nil:
			return reply, fmt.Errorf("reading a body: %w", err)
		case len(reply.Body) == maxReply:
			return reply, errors.New("reading a body: it is too long to keep")
		}
		return reply, nil
	}
}

// Throttle makes all further reads keep the pace. It also shrinks the socket's receive buffer, so
// that the server notices soon.
func (c *Conn) Throttle(pace Drip) error {
	c.In = bufio.NewReader(&drippingReader{c.ctx, c.In, pace})
	return c.SetReadBuffer(minReadBuffer)
}

// Reset ends the connection with a RST.
func (c *Conn) Reset() {
	c.stop()
	reset(c.TCPConn)
}

// Close ends the connection with a FIN, or with a RST if received bytes are still unread.
func (c *Conn) Close() error {
	c.stop()
	return c.TCPConn.Close()
}

// maxReply bounds the body of a Reply, in bytes. A body of this size or more is an error.
const maxReply = 64 << 20

// minReadBuffer is small; operating systems round it up to their minimum.
const minReadBuffer = 4 << 10

type drippingReader struct {
	ctx context.Context
	r   io.Reader
	Drip
}

func (d *drippingReader) Read(p []byte) (int, error) {
	if err := pause(d.ctx, d.Every); err != nil {
		return 0, err
	}
	return d.r.Read(p[:min(len(p), max(1, d.Bytes))])
}
