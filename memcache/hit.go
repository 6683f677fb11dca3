package memcache

import (
	"io"
	"io/fs"
	"unsafe"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// hit reads an entry. It takes no lock, because the bytes of an entry never change. The meta that
// Lookup returns is part of it, so that a hit is one allocation.
type hit struct {
	meta  cirque.CacheMeta
	shard *shard
	entry stored

	pos, end int64
	start    int64 // position of the start of segment
	segment  int32 // number of the segment that pos is in or at the end of
	closed   bool
}

var (
	_ cirque.HitHandler = (*hit)(nil)
	_ io.WriterTo       = (*hit)(nil)
)

// newHit returns a hit on e, which gives up the reference to e when it is closed.
func newHit(s *shard, e stored) *hit {
	h := &hit{shard: s, entry: e, end: e.size()}
	h.meta.UnmarshalTrusted(e.meta)
	return h
}

func (e *stored) size() int64 {
	if e.body != nil {
		return e.body.size
	}
	return int64(len(e.inline))
}

func (h *hit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	chunk, err := h.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, chunk)
	h.pos += int64(n)
	return n, nil
}

// WriteTo implements io.WriterTo: w gets the stored bytes themselves, without a copy.
func (h *hit) WriteTo(w io.Writer) (total int64, err error) {
	for {
		chunk, err := h.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(chunk)
		n = min(max(n, 0), len(chunk))
		h.pos += int64(n)
		total += int64(n)
		if err == nil && n < len(chunk) {
			err = io.ErrShortWrite
		}
		if err != nil {
			return total, err
		}
	}
}

// next returns the bytes from the position to the end of its piece.
func (h *hit) next() ([]byte, error) {
	switch {
	case h.closed:
		return nil, fs.ErrClosed
	case h.pos >= h.end:
		return nil, io.EOF
	}
	if h.entry.body == nil {
		// An io.Writer must not change the slice that it is given.
		inline := h.entry.inline[h.pos:h.end]
		return unsafe.Slice(unsafe.StringData(inline), len(inline)), nil
	}
	segments := h.entry.body.segments
	for h.pos >= h.start+int64(len(segments[h.segment])) {
		h.start += int64(len(segments[h.segment]))
		h.segment++
	}
	piece := segments[h.segment]
	return piece[h.pos-h.start : min(h.end-h.start, int64(len(piece)))], nil
}

func (h *hit) Size() (n int64, known bool) { return h.entry.size(), true }

func (h *hit) CanSeek() bool { return true }

func (h *hit) SeekRange(start, end int64) error {
	switch {
	case h.closed:
		return fs.ErrClosed
	case start < 0 || start > end || end > h.entry.size():
		return stream.ErrRange
	}
	h.pos, h.end = start, end
	h.segment, h.start = 0, 0
	return nil
}

func (h *hit) Tag() cirque.Tag { return h.entry.tag }

func (h *hit) Weight() int64 { return h.entry.weight }

func (h *hit) CountsAccess() bool { return true }

// Close gives up the reference to the entry. Closing again does nothing.
func (h *hit) Close() error {
	if !h.closed {
		h.closed = true
		h.shard.close(&h.entry)
	}
	return nil
}
