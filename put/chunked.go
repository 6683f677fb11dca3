package put

import (
	"fmt"
	"math"
)

// chunked decodes the chunked transfer coding (RFC 9112 §7.1) of bytes that come in pieces. Unlike
// in the header, every line feed must follow a carriage return.
type chunked struct {
	state chunkState
	size  int64 // of the chunk: first as far as it is read, then the bytes that are still to come
	line  int   // bytes read so far of the line, or of the trailer section
}

type chunkState uint8

const (
	chunkSize      chunkState = iota // before the size's first digit
	chunkDigits                      // after a digit of the size
	chunkSpace                       // after white space that follows the size
	chunkExtension                   // in an extension, which is ignored
	chunkSizeEnd                     // after the size line's CR
	chunkData
	chunkDataEnd  // before the CR that follows the data
	chunkDataLine // before the LF that follows that CR
	chunkTrailer  // at the start of a line of the trailer section
	chunkField    // in a trailer field, which is ignored
	chunkFieldEnd // after the field's CR
	chunkLast     // after the CR of the empty line that ends the body
	chunkDone
)

const (
	maxChunkLine    = 4 << 10  // size and extensions
	maxChunkTrailer = 64 << 10 // the trailer section
)

func (c *chunked) done() bool   { return c.state == chunkDone }
func (c *chunked) mayEnd() bool { return c.done() }

// next implements framing.
func (c *chunked) next(b []byte) (content, rest []byte, err error) {
	for i, char := range b {
		if c.state == chunkData {
			n := min(int64(len(b)-i), c.size)
			if c.size -= n; c.size == 0 {
				c.state = chunkDataEnd
			}
			return b[i : i+int(n)], b[i+int(n):], nil
		}
		if !c.step(char) {
			return nil, nil, fmt.Errorf("%w: chunked coding", ErrMalformed)
		}
		if c.done() {
			return nil, b[i+1:], nil
		}
	}
	return nil, nil, nil
}

// step takes one byte that is not content, and reports whether it is allowed there.
func (c *chunked) step(char byte) bool {
	c.line++
	switch c.state {
	case chunkSize, chunkDigits:
		digit, ok := hexDigit(char)
		switch {
		case ok && c.size > math.MaxInt64>>4:
			return false
		case ok:
			c.size = c.size<<4 | digit
			c.state = chunkDigits
			return c.line <= maxChunkLine
		case c.state == chunkSize:
			return false
		}
		return c.afterSize(char)
	case chunkSpace:
		return c.afterSize(char)
	case chunkExtension:
		if char == '\r' {
			c.state = chunkSizeEnd
		}
		return char != '\n' && c.line <= maxChunkLine
	case chunkSizeEnd:
		c.line = 0
		if c.state = chunkData; c.size == 0 {
			c.state = chunkTrailer
		}
		return char == '\n'
	case chunkDataEnd:
		c.state = chunkDataLine
		return char == '\r'
	case chunkDataLine:
		c.line, c.state = 0, chunkSize
		return char == '\n'
	case chunkTrailer, chunkField:
		switch {
		case char != '\r':
			c.state = chunkField
		case c.state == chunkField:
			c.state = chunkFieldEnd
		default:
			c.state = chunkLast
		}
		return char != '\n' && c.line <= maxChunkTrailer
	case chunkFieldEnd:
		c.state = chunkTrailer
		return char == '\n'
	case chunkLast:
		c.state = chunkDone
		return char == '\n'
	}
	return false
}

// afterSize takes a byte that follows the size and is not a digit.
func (c *chunked) afterSize(char byte) bool {
	switch char {
	case ' ', '\t':
		c.state = chunkSpace
	case ';':
		c.state = chunkExtension
	case '\r':
		c.state = chunkSizeEnd
	default:
		return false
	}
	return c.line <= maxChunkLine
}

func hexDigit(c byte) (int64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return int64(c - '0'), true
	case 'a' <= c && c <= 'f':
		return int64(c-'a') + 10, true
	case 'A' <= c && c <= 'F':
		return int64(c-'A') + 10, true
	}
	return 0, false
}
