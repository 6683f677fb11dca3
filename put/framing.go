package put

import "net/http"

// framing finds the body's end (RFC 9112 §6.3).
type framing interface {
	// next returns what of b is content, and what is not looked at yet: both can be empty, but not both be as
	// before.
	next(b []byte) (content, rest []byte, err error)
	// done reports that the body has ended.
	done() bool
	// mayEnd reports that the body is complete if no more bytes come.
	mayEnd() bool
}

func framingOf(response *http.Response) framing {
	switch {
	case len(response.TransferEncoding) > 0: // chunked, as http.ReadResponse takes no other
		return &chunked{}
	case response.ContentLength >= 0:
		return &counted{response.ContentLength}
	}
	return untilEnd{}
}

// counted is a body as long as Content-Length says, or none.
type counted struct{ remaining int64 }

func (c *counted) next(b []byte) (content, rest []byte, err error) {
	n := min(int64(len(b)), c.remaining)
	c.remaining -= n
	return b[:n], b[n:], nil
}

func (c *counted) done() bool   { return c.remaining == 0 }
func (c *counted) mayEnd() bool { return c.done() }

// untilEnd is a body without a length: it ends with the bytes.
type untilEnd struct{}

func (untilEnd) next(b []byte) (content, rest []byte, err error) { return b, nil, nil }
func (untilEnd) done() bool                                      { return false }
func (untilEnd) mayEnd() bool                                    { return true }
