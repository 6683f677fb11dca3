package faulty

import "fmt"

// Kind is a way for an origin to misbehave. The zero Kind has no fault.
//
// If a Kind strikes "in the header" or "in the body", Answer.At says at which byte. A connection
// that is reset ends with a TCP RST; a closed one ends with a FIN. On HTTP/2 only the stream is
// reset.
//
// An HTTP client may repeat a GET by itself if a reused connection breaks before the first byte of
// the answer. net/http does so; the origin then sees the request twice.
type Kind uint8

const (
	// None is the answer without a fault.
	None Kind = iota

	// Refuse resets every open connection and closes the port, as a crash would, for 50 ms or until
	// Answer.Hold is closed. See also [Origin.Refuse].
	Refuse

	// Hang, StallInHeader, StallAfterHeader and StallInBody send nothing more until the client
	// leaves or Answer.Hold is closed, and then reset the connection.
	Hang
	StallInHeader
	StallAfterHeader
	StallInBody

	// ResetBeforeHeader, ResetInHeader, ResetAfterHeader and ResetInBody reset the connection.
	ResetBeforeHeader
	ResetInHeader
	ResetAfterHeader
	ResetInBody

	// CloseBeforeHeader and CloseInHeader close the connection.
	CloseBeforeHeader
	CloseInHeader

	// ShortBody declares a Content-Length and closes the connection in the body.
	ShortBody
	// LongBody sends Answer.Size bytes (16 by default) beyond the Content-Length, and closes the
	// connection.
	LongBody

	// BadChunkSize sends a chunk-size that is not a number, in the body.
	BadChunkSize
	// TruncatedChunk closes the connection in the middle of a chunk, in the body.
	TruncatedChunk
	// NoLastChunk sends the whole body and closes the connection without the last chunk.
	NoLastChunk

	// TwoLengths declares two different Content-Lengths.
	TwoLengths
	// LengthAndChunked declares a wrong Content-Length and Transfer-Encoding: chunked, which
	// overrides it (RFC 9112 §6.3).
	LengthAndChunked

	// BadStatusLine begins the answer with an invalid status line.
	BadStatusLine
	// BadField sends a header line without a colon.
	BadField
	// HugeHeader adds Answer.Size bytes of header (128 KiB by default).
	HugeHeader

	// InterimStorm sends Answer.Size interim responses (100 by default) before the final one: 102,
	// 103 and 100 in turn.
	InterimStorm
	// ServerError replaces the status by 500, 502, 503 and 504 in turn.
	ServerError
	// OddNotModified answers a conditional request with a 304 that has Vary, Content-Length and
	// Set-Cookie fields, which the stored response never had. Other requests get the answer
	// unchanged.
	OddNotModified

	// SlowHeader and SlowBody send at the pace of Answer.Drip (16 bytes every millisecond by
	// default).
	SlowHeader
	SlowBody

	kindCount
)

// stage is the place in an answer where a fault strikes.
type stage uint8

const (
	nowhere stage = iota
	beforeHeader
	inHeader
	afterHeader
	inBody
	afterBody
)

// ending is what happens to the connection when the fault strikes.
type ending uint8

const (
	goesOn ending = iota
	stalls
	resets
	closes
)

// traits are the properties of one Kind.
type traits struct {
	name    string
	stage   stage
	ending  ending
	framing Framing // that the fault needs; zero: the Answer's
	breaks  bool
	http2   bool // whether HTTP/2 can express it
}

var kinds = [kindCount]traits{
	None: {name: "none", http2: true},

	Refuse: {name: "refuse", stage: beforeHeader, ending: resets, breaks: true},

	Hang:             {name: "hang", stage: beforeHeader, ending: stalls, breaks: true, http2: true},
	StallInHeader:    {name: "stall-in-header", stage: inHeader, ending: stalls, breaks: true},
	StallAfterHeader: {name: "stall-after-header", stage: afterHeader, ending: stalls, breaks: true, http2: true},
	StallInBody:      {name: "stall-in-body", stage: inBody, ending: stalls, breaks: true, http2: true},

	ResetBeforeHeader: {name: "reset-before-header", stage: beforeHeader, ending: resets, breaks: true, http2: true},
	ResetInHeader:     {name: "reset-in-header", stage: inHeader, ending: resets, breaks: true},
	ResetAfterHeader:  {name: "reset-after-header", stage: afterHeader, ending: resets, breaks: true, http2: true},
	ResetInBody:       {name: "reset-in-body", stage: inBody, ending: resets, breaks: true, http2: true},

	CloseBeforeHeader: {name: "close-before-header", stage: beforeHeader, ending: closes, breaks: true},
	CloseInHeader:     {name: "close-in-header", stage: inHeader, ending: closes, breaks: true},

	ShortBody: {name: "short-body", stage: inBody, ending: closes, framing: ByLength, breaks: true, http2: true},
	LongBody:  {name: "long-body", stage: afterBody, ending: closes, framing: ByLength},

	BadChunkSize:   {name: "bad-chunk-size", stage: inBody, ending: closes, framing: Chunked, breaks: true},
	TruncatedChunk: {name: "truncated-chunk", stage: inBody, ending: closes, framing: Chunked, breaks: true},
	NoLastChunk:    {name: "no-last-chunk", stage: afterBody, ending: closes, framing: Chunked, breaks: true},

	TwoLengths:       {name: "two-lengths", framing: ByLength, breaks: true},
	LengthAndChunked: {name: "length-and-chunked", framing: Chunked},

	BadStatusLine: {name: "bad-status-line", breaks: true},
	BadField:      {name: "bad-field", breaks: true},
	HugeHeader:    {name: "huge-header", http2: true},

	InterimStorm:   {name: "interim-storm", http2: true},
	ServerError:    {name: "server-error", http2: true},
	OddNotModified: {name: "odd-not-modified", http2: true},

	SlowHeader: {name: "slow-header"},
	SlowBody:   {name: "slow-body", http2: true},
}

// Kinds returns every Kind, None first.
func Kinds() []Kind {
	all := make([]Kind, kindCount)
	for k := range kindCount {
		all[k] = k
	}
	return all
}

// String returns the name of k, such as "reset-in-body".
func (k Kind) String() string {
	if k >= kindCount {
		return fmt.Sprintf("Kind(%d)", uint8(k))
	}
	return kinds[k].name
}

// Breaks reports whether a client can never receive the complete answer to a GET. A cache must not
// store such an answer, and must not end it cleanly for its own clients. Breaks assumes the default
// sizes, because a large enough header breaks any client.
func (k Kind) Breaks() bool { return k.traits().breaks }

// HTTP2 reports whether an HTTP2Origin can play k.
func (k Kind) HTTP2() bool { return k.traits().http2 }

func (k Kind) traits() traits {
	if k >= kindCount {
		return kinds[None]
	}
	return kinds[k]
}
