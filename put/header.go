package put

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"

	"github.com/cirquecache/cirque"
)

// defaultMaxHeaderBytes is what a Policy without MaxHeaderBytes stores.
const defaultMaxHeaderBytes = 64 << 10

// headerBuffer collects a header section, and the interim ones before it.
type headerBuffer struct {
	limit   int // bytes for all of them together, as they come; zero or less: the default
	seen    int
	section []byte // of the one under way
}

// write takes what of b belongs to the section under way, and reports whether that is complete.
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

// parse parses the section. An interim response (RFC 9110 §15.2) is nil; another section follows it.
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
