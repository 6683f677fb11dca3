package faulty

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	// refusal is how long the kind Refuse keeps the port closed without a Hold.
	refusal = 50 * time.Millisecond

	// lingering is how long a closed connection waits for the client to close its side. Closing the
	// socket while it has unread bytes would send a RST after the FIN.
	lingering = 500 * time.Millisecond
)

// exchange plays one plan on an HTTP/1.1 connection.
type exchange struct {
	plan
	refuse func() (end func()) // Origin.Refuse
	conn   *net.TCPConn
	in     io.Reader // what the client sends during the answer
}

// play sends the answer and returns the number of body bytes that it sent. After an error the
// connection cannot be used again; the error is errEnded if the plan ended the connection.
func (x *exchange) play(ctx context.Context) (sent int64, err error) {
	if err := pause(ctx, x.Delay); err != nil {
		return 0, err
	}
	if x.stage == beforeHeader {
		return 0, x.strike(ctx)
	}
	if err := x.sendHeader(ctx); err != nil {
		return 0, err
	}
	if x.stage == afterHeader {
		return 0, x.strike(ctx)
	}
	if !x.bodyless {
		if sent, err = x.sendFramedBody(ctx); err != nil {
			return sent, err
		}
		if x.stage == inBody || x.stage == afterBody {
			return sent, x.strike(ctx)
		}
	}
	if x.Framing == UntilClose {
		return sent, x.close()
	}
	return sent, nil
}

func (x *exchange) sendHeader(ctx context.Context) error {
	head := x.head()
	if x.stage == inHeader {
		if _, err := x.conn.Write(head[:place(x.At, int64(len(head)))]); err != nil {
			return err
		}
		return x.strike(ctx)
	}
	var w io.Writer = x.conn
	if x.Kind == SlowHeader {
		w = x.Drip.writer(ctx, w)
	}
	_, err := w.Write(head)
	return err
}

// head returns the interim responses and the header of the final one.
func (x *exchange) head() []byte {
	var b bytes.Buffer
	for _, status := range x.Interim {
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
		if status == http.StatusEarlyHints {
			b.WriteString("Link: </style.css>; rel=preload\r\n")
		}
		b.WriteString("\r\n")
	}
	switch {
	case x.Kind == BadStatusLine:
		b.WriteString("NOT-HTTP\r\n")
	case x.Framing == UntilClose:
		fmt.Fprintf(&b, "HTTP/1.0 %d %s\r\n", x.Status, http.StatusText(x.Status))
	default:
		fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", x.Status, http.StatusText(x.Status))
	}
	writeFields(&b, x.Header)
	if _, set := x.Header["Transfer-Encoding"]; !set && x.Framing == Chunked && allowsBody(x.Status) {
		b.WriteString("Transfer-Encoding: chunked\r\n")
	}
	if len(x.Trailer) > 0 && x.Framing == Chunked {
		fmt.Fprintf(&b, "Trailer: %s\r\n", strings.Join(slices.Sorted(maps.Keys(x.Trailer)), ", "))
	}
	if x.Kind == BadField {
		b.WriteString("a line without a colon\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func writeFields(b *bytes.Buffer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(b, "%s: %s\r\n", name, value)
		}
	}
}

func (x *exchange) sendFramedBody(ctx context.Context) (sent int64, err error) {
	if x.Framing != Chunked {
		return x.sendBody(ctx, x.conn)
	}
	sent, err = x.sendBody(ctx, chunkWriter{x.conn})
	if err != nil || x.stage == inBody || x.stage == afterBody {
		return sent, err
	}
	b := bytes.NewBufferString("0\r\n")
	writeFields(b, x.Trailer)
	b.WriteString("\r\n")
	_, err = x.conn.Write(b.Bytes())
	return sent, err
}

// chunkWriter writes a chunk for each Write.
type chunkWriter struct{ w io.Writer }

func (c chunkWriter) Write(p []byte) (int, error) {
	if len(p) == 0 { // an empty chunk would end the body
		return 0, nil
	}
	if _, err := fmt.Fprintf(c.w, "%x\r\n%s\r\n", len(p), p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// strike plays the fault at its place.
func (x *exchange) strike(ctx context.Context) error {
	if x.Kind == Refuse {
		defer x.refuse()()
		if x.Hold == nil {
			pause(ctx, refusal)
		}
	}
	if err := await(ctx, x.Hold); err != nil {
		return err
	}
	switch x.Kind {
	case LongBody:
		io.CopyN(x.conn, x.Content(), x.Size)
	case BadChunkSize:
		io.WriteString(x.conn, "many\r\nbytes\r\n")
	case TruncatedChunk:
		content := x.Content()
		io.CopyN(io.Discard, content, x.at)
		io.WriteString(x.conn, "ff\r\n")
		io.CopyN(x.conn, content, 16) // fewer bytes than declared
	}
	switch x.ending {
	case stalls:
		if x.Hold == nil {
			io.Copy(io.Discard, x.in)
		}
		reset(x.conn)
	case resets:
		reset(x.conn)
	case closes:
		return x.close()
	}
	return errEnded
}

// close ends the connection with a FIN.
func (x *exchange) close() error {
	if err := x.conn.CloseWrite(); err != nil {
		return err
	}
	if err := x.conn.SetReadDeadline(time.Now().Add(lingering)); err != nil {
		return err
	}
	io.Copy(io.Discard, x.in)
	return errEnded
}

// reset ends c with a RST. Bytes that the other side has not received yet are lost.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}
