package faulty

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Bodies is an http.RoundTripper that records which bodies of its responses are still open. An open
// body keeps its connection; for net/http even a 304 has a body. Bodies is safe for concurrent use.
type Bodies struct {
	base http.RoundTripper

	mu     sync.Mutex
	opened int
	open   map[*trackedBody]string // the request of each
}

// TrackBodies returns a round tripper over base; nil means http.DefaultTransport. If t is not nil,
// it fails if bodies are still open two seconds after its end.
func TrackBodies(t testing.TB, base http.RoundTripper) *Bodies {
	if base == nil {
		base = http.DefaultTransport
	}
	b := &Bodies{base: base, open: make(map[*trackedBody]string)}
	if t != nil {
		t.Cleanup(func() {
			t.Helper()
			if !settle(func() bool { return len(b.Open()) == 0 }) {
				open := b.Open()
				t.Errorf("%d response bodies were never closed:\n%s", len(open), strings.Join(open, "\n"))
			}
		})
	}
	return b
}

// RoundTrip implements http.RoundTripper.
func (b *Bodies) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r)
	if err != nil {
		return resp, err
	}
	tracked := &trackedBody{ReadCloser: resp.Body, bodies: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.opened++
	b.open[tracked] = r.Method + " " + r.URL.String() + ": " + resp.Status
	resp.Body = tracked
	if w, ok := tracked.ReadCloser.(io.Writer); ok { // a protocol switch
		resp.Body = struct {
			*trackedBody
			io.Writer
		}{tracked, w}
	}
	return resp, nil
}

// Opened returns the number of responses so far.
func (b *Bodies) Opened() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.opened
}

// Open describes the bodies that are still open, in alphabetical order.
func (b *Bodies) Open() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Values(b.open))
}

type trackedBody struct {
	io.ReadCloser
	bodies *Bodies
}

func (t *trackedBody) Close() error {
	t.bodies.mu.Lock()
	delete(t.bodies.open, t)
	t.bodies.mu.Unlock()
	return t.ReadCloser.Close()
}
