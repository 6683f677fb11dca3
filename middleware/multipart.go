package middleware

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// setMultipart makes a the multipart/byteranges answer with several ranges (RFC 9110 §14.6).
func (a *answer) setMultipart(header http.Header, hit cirque.HitHandler, ranges []rules.ByteRange, size int64) {
	boundary := rand.Text()
	m := &multipartReader{hit: hit}
	for i, r := range ranges {
		var head bytes.Buffer
		if i > 0 {
			head.WriteString("\r\n")
		}
		fmt.Fprintf(&head, "--%s\r\n", boundary)
		if typ := header.Get("Content-Type"); typ != "" {
			fmt.Fprintf(&head, "Content-Type: %s\r\n", typ)
		}
		fmt.Fprintf(&head, "Content-Range: %s\r\n\r\n", rules.ContentRange(r, size))
		m.parts = append(m.parts, part{head.Bytes(), section{r.Start, r.End}})
		a.length += int64(head.Len()) + r.End - r.Start
	}
	m.tail = fmt.Appendf(nil, "\r\n--%s--\r\n", boundary)
	a.length += int64(len(m.tail)) + 1 // it began at -1, which is "unknown"
	a.body = m
	// RFC 9110 §15.3.7.2: the ranges are in the parts, not in the header.
	header["Content-Type"] = []string{"multipart/byteranges; boundary=" + boundary}
	header["Content-Length"] = []string{strconv.FormatInt(a.length, 10)}
}

// part is one range: the lines before it, and its bytes.
type part struct {
	head []byte
	section
}

// multipartReader reads the parts of a multipart/byteranges body from a hit, which it owns.
type multipartReader struct {
	hit     cirque.HitHandler
	parts   []part
	tail    []byte
	current io.Reader
	err     error
}

// Read implements io.Reader.
func (m *multipartReader) Read(p []byte) (int, error) {
	for m.err == nil {
		if m.current == nil {
			m.advance()
			continue
		}
		n, err := m.current.Read(p)
		if err == io.EOF {
			m.current, err = nil, nil
		}
		if n > 0 || err != nil {
			m.err = err
			return n, err
		}
	}
	return 0, m.err
}

// advance goes to the next part, the tail, or the end.
func (m *multipartReader) advance() {
	switch {
	case len(m.parts) > 0:
		next := m.parts[0]
		m.parts = m.parts[1:]
		if m.err = m.hit.SeekRange(next.start, next.end); m.err == nil {
			m.current = io.MultiReader(bytes.NewReader(next.head), m.hit)
		}
	case m.tail != nil:
		m.current, m.tail = bytes.NewReader(m.tail), nil
	default:
		m.err = io.EOF
	}
}

// Close implements io.Closer.
func (m *multipartReader) Close() error {
	m.err = errors.New("middleware: body closed")
	return m.hit.Close()
}
