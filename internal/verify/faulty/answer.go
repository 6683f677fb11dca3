package faulty

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Answer says how an origin answers one request. Its fields combine freely; the zero Answer is an
// empty 200. The origin does not change it, so one Answer may serve many requests.
type Answer struct {
	// Status is the final status code; 0 means 200.
	Status int

	// Header is sent as it is, unchecked. The origin adds Date and the framing fields, except those
	// that Header has a key for. A key with a nil value leaves the field out.
	Header http.Header

	// Body is the content, repeated if Length says so.
	Body string

	// Length, if not zero, is the size of the content in bytes. Body, or some digits if Body is
	// empty, is repeated and cut to that size. A Kind that needs a body uses 1 KiB if the content
	// is empty.
	Length int64

	// Framing says how the end of the body is marked.
	Framing Framing

	// Trailer is sent after a Chunked body, and after every body on HTTP/2.
	Trailer http.Header

	// Interim has the statuses of the interim responses that are sent first: 100 to 199 except 101.
	Interim []int

	// Delay is the wait before anything is sent.
	Delay time.Duration

	// Drip is the pace of the body.
	Drip Drip

	// Kind is the fault.
	Kind Kind

	// At is the byte of the header or body before which the Kind strikes. 0 means the middle, but
	// at most 64 KiB from the start. Negative values count from the end. At is limited to the size,
	// so that at least one byte stays unsent.
	At int64

	// Size is the amount for the Kinds that have one, in bytes or responses. 0 means the Kind's
	// default.
	Size int64

	// Hold, if not nil, stops the answer until it is closed: just before the Kind strikes or, if
	// the Kind has no place to strike, at byte At of the body.
	Hold <-chan struct{}

	// Done, if not nil, is called when the answer has ended, with the number of body bytes sent.
	// err is not nil if the client or the end of the origin cut the answer short.
	Done func(sent int64, err error)
}

// Endless is a Length that no test reaches. Use it with a Framing that declares no length.
const Endless int64 = 1 << 62

// Framing is a way of marking the end of a body (RFC 9112 §6).
type Framing uint8

const (
	// ByLength declares a Content-Length. It is the default.
	ByLength Framing = iota + 1
	// Chunked sends chunks. On HTTP/2, it declares no length.
	Chunked
	// UntilClose answers as HTTP/1.0 and ends the body by closing the connection. A client then
	// cannot tell a body that an orderly close cut short from a whole one.
	UntilClose
)

// Drip is a pace: Bytes bytes at once, then a pause of Every. The zero Drip is full speed.
type Drip struct {
	Bytes int
	Every time.Duration
}

// Content returns a reader of the whole body, as an answer without a fault sends it.
func (a Answer) Content() io.Reader {
	if a.Length == 0 {
		return strings.NewReader(a.Body)
	}
	body := a.Body
	if body == "" {
		body = "0123456789"
	}
	return io.LimitReader(&repeated{text: body}, a.Length)
}

func (a Answer) length() int64 {
	if a.Length == 0 {
		return int64(len(a.Body))
	}
	return a.Length
}

// repeated is a reader that repeats text.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], r.text[r.at:])
		n += c
		r.at = (r.at + c) % len(r.text)
	}
	return n, nil
}

// InTurn returns a script that gives each URL the answers one after the other, and then always the
// last one. For a burst of errors, pass slices.Repeat of an error and then the answer after the
// burst.
func InTurn(answers ...Answer) func(*http.Request) Answer {
	var mu sync.Mutex
	asked := make(map[string]int)
	return func(r *http.Request) Answer {
		mu.Lock()
		defer mu.Unlock()
		n := asked[r.RequestURI]
		asked[r.RequestURI]++
		return answers[min(n, len(answers)-1)]
	}
}
