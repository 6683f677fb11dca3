package middleware

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// contentWait is how long the cache waits for a request to show whether it has content.
const contentWait = time.Second

// undeclared reports whether one must read the body to know whether r has content. An HTTP/1.1
// request says so in its header (RFC 9112 §6.3). In HTTP/2 and HTTP/3 the end of the stream shows
// it (RFC 9113 §8.1, RFC 9114 §4.1), and a server may hand over a request before that arrives. In
// HTTP/3 it always does.
func undeclared(r *http.Request) bool {
	if r.ContentLength >= 0 || r.ProtoMajor < 2 || r.Body == nil || r.Body == http.NoBody {
		return false
	}
	_, peeked := r.Body.(*peekedBody)
	return !peeked && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header["Content-Length"] == nil && r.Header["Transfer-Encoding"] == nil && r.Header["Expect"] == nil
}

// declareContent finds out whether r, which is undeclared, has content, and changes r accordingly.
// Without content, r gets no Body and the ContentLength 0. With content, r gets a Body that still
// yields the byte that was read here. If neither is known after contentWait, r counts as a request
// with content.
//
// It changes r in place: a handler around the cache may read the Body after the cache, and must not
// miss that byte.
func declareContent(r *http.Request) {
	body := &peekedBody{ReadCloser: r.Body, first: make(chan firstByte, 1)}
	go body.peek()
	timer := time.NewTimer(contentWait)
	defer timer.Stop()
	select {
	case body.got = <-body.first:
		body.waited = true
	case <-timer.C:
	case <-r.Context().Done():
	}
	if body.waited && body.got.n == 0 && body.got.err == io.EOF {
		_ = r.Body.Close()
		r.Body, r.ContentLength = http.NoBody, 0
		return
	}
	r.Body = body
}

// peekedBody is a body whose first byte is read ahead by a goroutine.
type peekedBody struct {
	io.ReadCloser
	first  chan firstByte
	got    firstByte
	waited bool // first was received, and is in got
}

// firstByte is what the first Read returned.
type firstByte struct {
	n    int
	data [1]byte
	err  error
}

// peek reads the first byte. It ends when it has one, or with the request, because the server then
// ends the body.
func (b *peekedBody) peek() {
	var f firstByte
	defer func() {
		if p := recover(); p != nil {
			f.n, f.err = 0, fmt.Errorf("middleware: reading the request's body panicked: %v", p)
		}
		b.first <- f
	}()
	for f.n == 0 && f.err == nil {
		f.n, f.err = b.ReadCloser.Read(f.data[:])
	}
}

// Read implements io.Reader.
func (b *peekedBody) Read(p []byte) (int, error) {
	if !b.waited {
		b.got, b.waited = <-b.first, true
	}
	switch {
	case b.got.n > 0 && len(p) > 0:
		b.got.n = 0
		p[0] = b.got.data[0]
		return 1, nil
	case b.got.n > 0:
		return 0, nil
	case b.got.err != nil:
		return 0, b.got.err
	}
	return b.ReadCloser.Read(p)
}
