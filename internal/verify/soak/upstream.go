package main

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// upstream is the RoundTripper between the cache and the origins. It records when headers and
// bodies arrive, and every failure.
type upstream struct {
	world *world
	base  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (u *upstream) RoundTrip(r *http.Request) (*http.Response, error) {
	res := u.world.byPath[r.URL.Path]
	asked := u.world.now()
	resp, err := u.base.RoundTrip(r)
	if res == nil {
		return resp, err
	}
	if err != nil {
		u.world.failed(res)
		return resp, err
	}
	if resp.StatusCode >= 500 {
		u.world.failed(res)
	}
	var of *issue
	if number, ok := issueNumber(resp.Header); ok {
		if i := res.issue(number); i != nil {
			of = i
			i.asked.CompareAndSwap(0, int64(asked))
			i.received.CompareAndSwap(0, int64(u.world.now()))
		}
	}
	resp.Body = &upstreamBody{resp.Body, u.world, res, of}
	return resp, nil
}

// issueNumber returns the number of the issue that h names.
func issueNumber(h http.Header) (uint64, bool) {
	for _, line := range h["Cache-Control"] {
		if _, after, ok := strings.Cut(line, "issue="); ok {
			n, err := strconv.ParseUint(after, 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

type upstreamBody struct {
	io.ReadCloser
	world    *world
	resource *resource
	issue    *issue // nil if it is not known
}

// Read implements io.Reader.
func (b *upstreamBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.world.failed(b.resource)
	}
	if err == io.EOF && b.issue != nil {
		b.issue.ended.CompareAndSwap(0, int64(b.world.now()))
	}
	return n, err
}
