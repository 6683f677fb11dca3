package faulty

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Answer says how an origin answers one request. Its parts combine freely; the zero Answer is an empty 200.
// An origin reads it only, so one Answer may serve many requests.
type Answer struct {
	// Status is the final status code; 0 means 200.
	Status int

	// Header is sent as it is, unchecked. The origin adds Date and the framing fields of its own, except where
	// Header has their key; a nil value leaves the field out.
	Header http.Header

	// Body is the content, and what Length repeats.
	Body string

	// Length, if not zero, is the size of the content in bytes: Body (or some digits where it is
	// empty) is repeated and cut to it. Kinds that need a body make do with 1 KiB where there is none.
	Length int64

	// Framing says how the end of the body is marked.
	Framing Framing

	// Trailer is sent after a Chunked body, and after any on HTTP/2.
	Trailer http.Header

	// Interim are the statuses of interim responses to send first, 100 to 199 without 101.
	Interim []int

	// Delay is waited out before anything is sent.
	Delay time.Duration

	// Drip paces the body.
	Drip Drip

	// Kind is the fault.
	Kind Kind

	// At is the byte of the header or body before which the Kind strikes. 0 means in the middle, 64 KiB in at
	// most; negative values count from the end. It is cut to what is there, so that a byte at least stays unsent.
	At int64

	// Size is how much the Kind does of what it does. 0 means the Kind's default.
	Size int64

	// Hold, if not nil, stops the answer until it is closed: in the body where Kind strikes nowhere in
	// particular (at At), else where Kind strikes, just before.
	Hold <-chan struct{}

	// Done, if not nil, is called when the answer has ended, with the number of body bytes sent and, where
	// the client or the end of the origin cut the answer short, the error that did.
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
	// UntilClose answers as HTTP/1.0 and ends the body by closing the connection. A body cut short
	// by an orderly close can't be told from a whole one then.
	UntilClose
)

// Drip is a pace: Bytes bytes at once, then a pause of Every. The zero Drip is full speed.
type Drip struct {
	Bytes int
	Every time.Duration
}

// Content returns a reader of the whole body as a faultless answer carries it.
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

// repeated reads text over and over.
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

// InTurn returns a script that gives each URL the answers one after the other and the last one for
// ever after. A burst of errors is slices.Repeat of one, then the answer that follows it.
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
