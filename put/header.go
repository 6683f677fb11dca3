package put

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"

	"github.com/cirquecache/cirque"
)

// defaultMaxHeaderBytes is the limit of a Policy without MaxHeaderBytes.
const defaultMaxHeaderBytes = 64 << 10

// headerBuffer collects a header section, and the sections of interim responses before it.
type headerBuffer struct {
	limit   int // bytes of all sections together; zero or less: the default
	seen    int
	section []byte // the current one
}

// write takes the bytes of b that belong to the current section, and reports whether the section is
// complete.
func (h *headerBuffer) write(b []byte) (rest []byte, complete bool, err error) {
	limit := h.limit
	if limit <= 0 {
		limit = defaultMaxHeaderBytes
	}
	for i, c := range b {
		if h.seen == limit {
			return b[i:], false, &NotStoredError{Reason: cirque.ResponseTooLarge, Detail: "header-too-large"}
		}
		h.seen++
		h.section = append(h.section, c)
		// A line feed ends a line with or without a carriage return before it (RFC 9112 §2.2).
		if c == '\n' && (bytes.HasSuffix(h.section, []byte("\n\n")) || bytes.HasSuffix(h.section, []byte("\n\r\n"))) {
			return b[i+1:], true, nil
		}
	}
	return nil, false, nil
}

// parse parses the section. For an interim response (RFC 9110 §15.2) it returns nil; another
// section follows.
func (h *headerBuffer) parse(req *http.Request) (*http.Response, error) {
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(h.section)), req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	h.section = h.section[:0]
	if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
		return nil, nil
	}
	h.section = nil
	return response, nil
}
