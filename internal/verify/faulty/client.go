package faulty

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"time"
)

// Behaviour is a way for a client to misbehave. The zero Behaviour has no fault.
type Behaviour uint8

const (
	// Polite sends one request and reads the answer.
	Polite Behaviour = iota

	// StallReading sends a request, reads nothing for Client.Stay, and resets the connection.
	StallReading
	// DripReading reads the answer at the pace of Client.Drip.
	DripReading
	// ResetReading and CloseReading end the connection after Client.At bytes of the answer, header
	// included.
	ResetReading
	CloseReading
	// ResetSending and CloseSending end the connection after Client.At bytes of the request.
	ResetSending
	CloseSending

	// Pipelining sends Client.Count requests at once, then reads the answers.
	Pipelining
	// FatGet sends a body with a GET.
	FatGet
	// ManyRanges requests Client.Count ranges that overlap.
	ManyRanges
	// ManyBytes requests Client.Count ranges of one byte.
	ManyBytes

	// HiddenRequest sends a GET whose body is a request for HiddenTarget, and a second GET directly
	// after it. There must be two replies, or one and then the end of the connection. A server that
	// leaves the body unread takes it for a request.
	HiddenRequest
	// UnfinishedBody declares a longer body than it sends, sends a second request after it, and
	// ends its side of the connection. The second request is part of the first one's body, so there
	// must not be two replies.
	UnfinishedBody

	// OversizeHeader, ControlHeader and MethodOverride send fields that provoke error answers,
	// which can poison caches: a field of Client.Size bytes, a field with a control byte, and those
	// of MethodOverrideFields.
	OversizeHeader
	ControlHeader
	MethodOverride

	behaviourCount
)

// HiddenTarget is the target of the request inside the body of HiddenRequest. No origin may ever
// see it.
const HiddenTarget = "/hidden-in-a-body"

var behaviours = [behaviourCount]string{
	Polite:         "polite",
	StallReading:   "stall-reading",
	DripReading:    "drip-reading",
	ResetReading:   "reset-reading",
	CloseReading:   "close-reading",
	ResetSending:   "reset-sending",
	CloseSending:   "close-sending",
	Pipelining:     "pipelining",
	FatGet:         "fat-get",
	ManyRanges:     "many-ranges",
	ManyBytes:      "many-bytes",
	HiddenRequest:  "hidden-request",
	UnfinishedBody: "unfinished-body",
	OversizeHeader: "oversize-header",
	ControlHeader:  "control-header",
	MethodOverride: "method-override",
}

// Behaviours returns every Behaviour, Polite first.
func Behaviours() []Behaviour {
	all := make([]Behaviour, behaviourCount)
	for b := range behaviourCount {
		all[b] = b
	}
	return all
}

// String returns the name of b, such as "drip-reading".
func (b Behaviour) String() string {
	if b >= behaviourCount {
		return fmt.Sprintf("Behaviour(%d)", uint8(b))
	}
	return behaviours[b]
}

// Client requests a URL from a server, over a new connection each time. It is safe for concurrent
// use.
type Client struct {
	Behaviour Behaviour

	// At is the number of bytes after which the client ends the connection. 0 means 200 bytes of
	// the answer, or 20 of the request.
	At int64
	// Count is the number of ranges or pipelined requests. 0 means 300 ranges, or 8 requests.
	Count int
	// Size is the size of the field of OversizeHeader, in bytes. 0 means 32 KiB.
	Size int
	// Drip is the pace of DripReading. Zero means 64 bytes every millisecond.
	Drip Drip
	// Stay is how long StallReading keeps the connection. 0 means 100 ms.
	Stay time.Duration
}

// Do sends the request to the host of rawURL, with its path and query, and returns the replies that
// were received whole. A Behaviour that leaves or stalls returns no replies and no error. Errors
// come from the connection, from broken answers, and from ctx if it ends before the client has
// finished.
func (c Client) Do(ctx context.Context, rawURL string) ([]Reply, error) {
	replies, err := c.do(ctx, rawURL)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return replies, err
}

func (c Client) do(ctx context.Context, rawURL string) ([]Reply, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	conn, err := Dial(ctx, rawURL)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	c.setDefaults()

	get := Request{Target: u.RequestURI()}
	switch c.Behaviour {
	case StallReading:
		return nil, c.stall(ctx, conn, get)
	case ResetReading, CloseReading, ResetSending, CloseSending:
		return nil, c.leave(conn, get)
	case DripReading:
		if err := conn.Throttle(c.Drip); err != nil {
			return nil, err
		}
	case Pipelining:
		return ask(conn, slices.Repeat([]Request{get}, c.Count)...)
	case FatGet:
		get.Body = "fat=1"
	case ManyRanges:
		get.Fields = []string{OverlappingRanges(c.Count)}
	case ManyBytes:
		get.Fields = []string{OneByteRanges(c.Count)}
	case HiddenRequest:
		first := get
		first.Body = Request{Target: HiddenTarget}.wire(u.Host)
		return ask(conn, first, get)
	case UnfinishedBody:
		return c.leaveUnfinished(conn, get)
	case OversizeHeader:
		get.Fields = []string{OversizeField(c.Size)}
	case ControlHeader:
		get.Fields = []string{ControlField(0x01)}
	case MethodOverride:
		get.Fields = MethodOverrideFields("DELETE")
	}
	return ask(conn, get)
}

func (c *Client) setDefaults() {
	at, count := int64(200), 300
	switch c.Behaviour {
	case ResetSending, CloseSending:
		at = 20
	case Pipelining:
		count = 8
	}
	c.At = cmp.Or(c.At, at)
	c.Count = cmp.Or(c.Count, count)
	c.Size = cmp.Or(c.Size, 32<<10)
	c.Drip = cmp.Or(c.Drip, Drip{Bytes: 64, Every: time.Millisecond})
	c.Stay = cmp.Or(c.Stay, 100*time.Millisecond)
}

// ask sends all requests at once and reads as many replies.
func ask(conn *Conn, requests ...Request) ([]Reply, error) {
	if err := conn.Send(requests...); err != nil {
		return nil, err
	}
	var replies []Reply
	for range requests {
		reply, err := conn.Receive("GET")
		if err != nil {
			return replies, err
		}
		replies = append(replies, reply)
	}
	return replies, nil
}

func (c Client) stall(ctx context.Context, conn *Conn, get Request) error {
	if err := conn.SetReadBuffer(minReadBuffer); err != nil {
		return err
	}
	if err := conn.Send(get); err != nil {
		return err
	}
	defer conn.Reset()
	return pause(ctx, c.Stay)
}

func (c Client) leave(conn *Conn, get Request) error {
	var err error
	switch c.Behaviour {
	case ResetSending, CloseSending:
		err = conn.SendPart(get, c.At)
	default:
		if err = conn.Send(get); err == nil {
			_, err = io.CopyN(io.Discard, conn.In, c.At)
		}
	}
	if c.Behaviour == ResetReading || c.Behaviour == ResetSending {
		conn.Reset()
	}
	if errors.Is(err, io.EOF) { // the whole answer was shorter than c.At
		err = nil
	}
	return err
}

// leaveUnfinished sends two requests, of which the second is part of the first one's body, and
// reads to the end of the connection.
func (c Client) leaveUnfinished(conn *Conn, get Request) ([]Reply, error) {
	first := get
	first.Body = "unfinished"
	first.Length = 64 << 10
	if err := conn.Send(first, get); err != nil {
		return nil, err
	}
	if err := conn.CloseWrite(); err != nil {
		return nil, err
	}
	var replies []Reply
	for {
		reply, err := conn.Receive("GET")
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF) && reply.Status == 0:
			return replies, nil
		case err != nil:
			return replies, err
		}
		replies = append(replies, reply)
	}
}
