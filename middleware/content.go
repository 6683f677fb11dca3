package middleware

import (
	"fmt"
	"io"
	"net/http"
	"time"
)

// contentWait is how long a request may take to show whether it has content.
const contentWait = time.Second

// undeclared reports whether only reading tells that r has content. HTTP/1.1 says so in the header
// (RFC 9112 §6.3). In HTTP/2 and HTTP/3 the end of the stream says it (RFC 9113 §8.1, RFC 9114
// §4.1), and servers may hand over requests before they have come to that: in HTTP/3 all of them.
func undeclared(r *http.Request) bool {
	if r.ContentLength >= 0 || r.ProtoMajor < 2 || r.Body == nil || r.Body == http.NoBody {
		return false
	}
	_, peeked := r.Body.(*peekedBody)
	return !peeked && (r.Method == http.MethodGet || r.Method == http.MethodHead) &&
		r.Header["Content-Length"] == nil && r.Header["Transfer-Encoding"] == nil && r.Header["Expect"] == nil
}

// declareContent finds out whether r, which is undeclared, has content, and changes r to say so: a
// request without has no Body and the ContentLength 0. What was read is in the new Body of one with
// content. A request that shows neither for contentWait counts as one with content.
//
// It changes r in place: a handler around the cache that reads the Body after it must not miss what
// was read here.
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

// peekedBody is a body whose first byte a goroutine reads ahead.
type peekedBody struct {
	io.ReadCloser
	first  chan firstByte
	got    firstByte
	waited bool // for first, which is in got
}

// firstByte is what the first Read yielded.
type firstByte struct {
	n    int
	data [1]byte
	err  error
}

// peek reads the first byte. It ends when there is one, or with the request, whose server then ends
// the body.
func (b *peekedBody) peek() {
	var f firstByte
	defer func() {
		if p := recover(); p != nil {
			f.n, f.err = 0, fmt.Errorf("middleware: panic in the request's body: %v", p)
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
