package middleware

import (
	"errors"
	"io"
	"sync"
)

// copyingWriter gives w only memory that nobody else uses.
//
// An io.Writer must not keep the bytes of a Write that has returned. The HTTP/2 server of net/http
// does: if the stream is reset or the connection closed during a Write, Write returns an error
// while another goroutine may still be sending the bytes. A Storage uses its memory and its buffers
// again, so these bytes could be those of another response by then.
type copyingWriter struct {
	w      io.Writer
	failed bool // w may still read buf, which must not change any more
	buf    [32 << 10]byte
}

var copyingWriters = sync.Pool{New: func() any { return new(copyingWriter) }}

var errWriterFailed = errors.New("middleware: a former write failed")

// newCopyingWriter returns a writer to w. The caller must release it.
func newCopyingWriter(w io.Writer) *copyingWriter {
	c := copyingWriters.Get().(*copyingWriter)
	c.w = w
	return c
}

// release ends the use of c. If a write failed, c is left to the garbage collector.
func (c *copyingWriter) release() {
	if c.w = nil; !c.failed {
		copyingWriters.Put(c)
	}
}

// Write implements io.Writer.
func (c *copyingWriter) Write(p []byte) (total int, err error) {
	for len(p) > 0 {
		if c.failed {
			return total, errWriterFailed
		}
		n := copy(c.buf[:], p)
		wrote, err := c.write(n)
		total += wrote
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// ReadFrom implements io.ReaderFrom, for bodies that do not implement io.WriterTo.
func (c *copyingWriter) ReadFrom(r io.Reader) (total int64, err error) {
	for {
		if c.failed {
			return total, errWriterFailed
		}
		n, err := r.Read(c.buf[:])
		if n > 0 {
			wrote, failed := c.write(n)
			total += int64(wrote)
			if failed != nil {
				return total, failed
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// write writes n bytes of the buffer.
func (c *copyingWriter) write(n int) (int, error) {
	c.failed = true // unless w returns without an error
	wrote, err := c.w.Write(c.buf[:n])
	wrote = min(max(wrote, 0), n)
	if err == nil && wrote < n {
		err = io.ErrShortWrite
	}
	c.failed = err != nil
	return wrote, err
}
