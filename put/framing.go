package put

import "net/http"

// framing finds the end of the body (RFC 9112 §6.3).
type framing interface {
	// next returns content that it finds in b, and the rest of b, which it has not looked at yet.
	// Both may be empty, but every call must make progress.
	next(b []byte) (content, rest []byte, err error)
	// done reports whether the body has ended.
	done() bool
	// mayEnd reports whether the body is complete if no more bytes come.
	mayEnd() bool
}

func framingOf(response *http.Response) framing {
	switch {
	case len(response.TransferEncoding) > 0: // chunked: http.ReadResponse accepts no other
		return &chunked{}
	case response.ContentLength >= 0:
		return &counted{response.ContentLength}
	}
	return untilEnd{}
}

// counted is a body of the length that Content-Length gives, or an empty one.
type counted struct{ remaining int64 }

func (c *counted) next(b []byte) (content, rest []byte, err error) {
	n := min(int64(len(b)), c.remaining)
	c.remaining -= n
	return b[:n], b[n:], nil
}

func (c *counted) done() bool   { return c.remaining == 0 }
func (c *counted) mayEnd() bool { return c.done() }

// untilEnd is a body without a known length: it ends where the bytes end.
type untilEnd struct{}

func (untilEnd) next(b []byte) (content, rest []byte, err error) { return b, nil, nil }
func (untilEnd) done() bool                                      { return false }
func (untilEnd) mayEnd() bool                                    { return true }
