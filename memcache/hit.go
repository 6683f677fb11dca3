package memcache

import (
	"io"
	"io/fs"
	"runtime"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
	"github.com/cirquecache/cirque/internal/unzeroed"
)

// hit reads an entry. It takes no lock.
//
// The encoded meta is copied from the page when the entry is found, so header strings can be kept
// for as long as anybody likes. An inline body is copied too, into a buffer that is used again
// after Close. So a page can be freed at any time, and hits on small entries share no reference
// count. A body outside of the block is not copied: the hit has a reference to it until Close.
type hit struct {
	meta   cirque.CacheMeta
	tag    cirque.Tag
	weight int64
	size   int64

	guard guard

	// Valid while guard is not closed, or a call is under way. One of body and inline is nil.
	body    *body
	inline  *inlineBuffer
	cleanup runtime.Cleanup // of a hit with a body that is never closed

	pos, end int64
	start    int64 // position of the start of segment
	segment  int32 // number of the segment that pos is in or at the end of
}

var (
	_ cirque.HitHandler = (*hit)(nil)
	_ io.WriterTo       = (*hit)(nil)
)

// inlineBuffer is a copy of an inline body.
type inlineBuffer [inlineMax]byte

var inlineBuffers = sync.Pool{New: func() any { return new(inlineBuffer) }}

// roomyHit is a hit with room for its encoded meta, in one allocation.
type roomyHit[room any] struct {
	hit  hit
	room room
}

// newHit returns a hit with room for n bytes. The sizes suit the allocator.
func newHit(n int) (h *hit, room []byte) {
	switch {
	case n <= 176:
		h := new(roomyHit[[176]byte])
		return &h.hit, h.room[:n]
	case n <= 240:
		h := new(roomyHit[[240]byte])
		return &h.hit, h.room[:n]
	case n <= 304:
		h := new(roomyHit[[304]byte])
		return &h.hit, h.room[:n]
	case n <= 360:
		h := new(roomyHit[[360]byte])
		return &h.hit, h.room[:n]
	case n <= 424:
		h := new(roomyHit[[424]byte])
		return &h.hit, h.room[:n]
	case n <= 552:
		h := new(roomyHit[[552]byte])
		return &h.hit, h.room[:n]
	case n <= 808:
		h := new(roomyHit[[808]byte])
		return &h.hit, h.room[:n]
	}
	return new(hit), unzeroed.Make(n)[:n]
}

// open makes h ready to be used, with its encoded meta.
func (h *hit) open(encoded []byte) {
	h.meta.UnmarshalTrusted(text(encoded))
	h.end = h.size
	if h.body != nil {
		h.cleanup = runtime.AddCleanup(h, (*body).forgotten, h.body)
	}
}

// forgotten gives up the reference of a hit that was not closed.
func (b *body) forgotten() {
	b.cache.forgotten.report()
	b.letGo()
}

// letGo gives up the reference to the body, or the copy of it. A header string may keep h reachable
// after that.
func (h *hit) letGo() {
	switch {
	case h.body != nil:
		h.cleanup.Stop()
		h.body.letGo()
		h.body = nil
	case h.inline != nil:
		spoil(h.inline[:])
		inlineBuffers.Put(h.inline)
		h.inline = nil
	}
}

func (h *hit) exit() {
	if h.guard.exit() {
		h.letGo()
	}
}

func (h *hit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !h.guard.enter() {
		return 0, fs.ErrClosed
	}
	defer h.exit()
	chunk, err := h.next()
	if err != nil {
		return 0, err
	}
	n := copy(p, chunk)
	h.pos += int64(n)
	return n, nil
}

// WriteTo implements io.WriterTo: w gets the stored bytes themselves, without a copy. They are w's
// for the duration of each Write.
func (h *hit) WriteTo(w io.Writer) (total int64, err error) {
	if !h.guard.enter() {
		return 0, fs.ErrClosed
	}
	defer h.exit()
	for {
		chunk, err := h.next()
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(chunk)
		mustNotFault(err)
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

// next returns the bytes from the position to the end of its piece. A call must be under way.
func (h *hit) next() ([]byte, error) {
	switch {
	case h.guard.closed():
		return nil, fs.ErrClosed
	case h.pos >= h.end:
		return nil, io.EOF
	case h.body == nil:
		return h.inline[h.pos:h.end], nil
	}
	segments := h.body.segments
	for h.pos >= h.start+int64(len(segments[h.segment])) {
		h.start += int64(len(segments[h.segment]))
		h.segment++
	}
	piece := segments[h.segment]
	return piece[h.pos-h.start : min(h.end-h.start, int64(len(piece)))], nil
}

func (h *hit) Size() (n int64, known bool) { return h.size, true }

func (h *hit) CanSeek() bool { return true }

func (h *hit) SeekRange(start, end int64) error {
	switch {
	case h.guard.closed():
		return fs.ErrClosed
	case start < 0 || start > end || end > h.size:
		return stream.ErrRange
	}
	h.pos, h.end = start, end
	h.segment, h.start = 0, 0
	return nil
}

func (h *hit) Tag() cirque.Tag { return h.tag }

func (h *hit) Weight() int64 { return h.weight }

func (h *hit) CountsAccess() bool { return true }

// Close gives up the reference to the body, once no other goroutine reads it any more. Closing
// again does nothing.
func (h *hit) Close() error {
	if h.guard.close() {
		h.letGo()
	}
	return nil
}
