package diskcache

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// span is the range of a body that a hit reads, and the position in it.
type span struct {
	from, pos, end, size int64
	closed               bool
}

func (s *span) reset(size int64) { s.from, s.pos, s.end, s.size = 0, 0, size, size }

// Size implements [cirque.HitHandler].
func (s *span) Size() (n int64, known bool) { return s.size, true }

// CanSeek implements [cirque.HitHandler].
func (s *span) CanSeek() bool { return true }

// CountsAccess implements [cirque.HitHandler].
func (s *span) CountsAccess() bool { return true }

// SeekRange implements [cirque.HitHandler].
func (s *span) SeekRange(start, end int64) error {
	switch {
	case s.closed:
		return fs.ErrClosed
	case start < 0 || start > end || end > s.size:
		return stream.ErrRange
	}
	s.from, s.pos, s.end = start, start, end
	return nil
}

// left returns nil if there is more to read, io.EOF at the end of the range, and another error once
// the hit is closed.
func (s *span) left() error {
	switch {
	case s.closed:
		return fs.ErrClosed
	case s.pos >= s.end:
		return io.EOF
	}
	return nil
}

// smallHit is a hit whose body is in memory.
type smallHit struct {
	entry
	span
	body   []byte
	buf    *[]byte // the whole file; body points into it
	weight int64
}

var (
	_ cirque.HitHandler = (*smallHit)(nil)
	_ io.WriterTo       = (*smallHit)(nil)
)

func (h *smallHit) Tag() cirque.Tag { return h.tag }

func (h *smallHit) Weight() int64 { return h.weight }

func (h *smallHit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := h.left(); err != nil {
		return 0, err
	}
	n := copy(p, h.body[h.pos:h.end])
	h.pos += int64(n)
	return n, nil
}

// WriteTo implements io.WriterTo.
func (h *smallHit) WriteTo(w io.Writer) (int64, error) {
	if err := h.left(); err != nil {
		if err == io.EOF {
			err = nil
		}
		return 0, err
	}
	n, err := writeAll(w, h.body[h.pos:h.end])
	h.pos += int64(n)
	return int64(n), err
}

// Close gives the body's memory back. Closing again does nothing.
func (h *smallHit) Close() error {
	if !h.closed {
		h.closed = true
		putBuffer(h.buf)
		h.buf, h.body = nil, nil
	}
	return nil
}

// fileHit is a hit whose body stays in its file.
type fileHit struct {
	entry
	span
	store  *Store
	hash   cirque.HashBinary
	gen    *generation
	check  *verifier
	f      *os.File
	weight int64

	// The state of the file when it was opened, or when it was last found intact.
	fileSize int64
	modified int64 // Unix nanoseconds

	// The last chunk that was checked, its bytes and its number. There is none while buf is nil.
	buf   *[chunkSize]byte
	chunk []byte
	at    int64
}

var (
	_ cirque.HitHandler = (*fileHit)(nil)
	_ io.WriterTo       = (*fileHit)(nil)
)

func (h *fileHit) Tag() cirque.Tag { return h.tag }

func (h *fileHit) Weight() int64 { return h.weight }

func (h *fileHit) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := h.left(); err != nil {
		return 0, err
	}
	var n int
	if intact := h.check.intact(h.pos, min(h.end, h.pos+int64(len(p)))); intact > 0 {
		if err := readFull(h.f, p[:intact], bodyAt+h.pos); err != nil {
			return 0, h.fail(err)
		}
		n = int(intact)
	} else {
		piece, err := h.checked()
		if err != nil {
			return 0, err
		}
		n = copy(p, piece)
	}
	if err := h.mayHandOut(n); err != nil {
		return 0, err
	}
	h.pos += int64(n)
	return n, nil
}

// WriteTo implements io.WriterTo. It copies the body through memory. sendfile would give the
// connection the pages of the file; if somebody truncated the file while these wait to be sent,
// they would turn into zeros, megabytes after the last check of the file.
func (h *fileHit) WriteTo(w io.Writer) (total int64, err error) {
	var buf *[copySize]byte
	defer func() {
		if buf != nil {
			copyBuffers.Put(buf)
		}
	}()
	for {
		if err := h.left(); err == io.EOF {
			return total, nil
		} else if err != nil {
			return total, err
		}
		var piece []byte
		if intact := h.check.intact(h.pos, min(h.end, h.pos+copySize)); intact > 0 {
			if buf == nil {
				buf = copyBuffers.Get().(*[copySize]byte)
			}
			piece = buf[:intact]
			if err := readFull(h.f, piece, bodyAt+h.pos); err != nil {
				return total, h.fail(err)
			}
		} else if piece, err = h.checked(); err != nil {
			return total, err
		}
		if err := h.mayHandOut(len(piece)); err != nil {
			return total, err
		}
		n, err := writeAll(w, piece)
		h.pos += int64(n)
		total += int64(n)
		if err != nil {
			return total, err
		}
	}
}

// mayHandOut returns an error if n more bytes would complete the range, and the file has changed
// since it was opened and is not intact any more. In that case earlier bytes may be wrong: a file
// that is truncated and written anew has zeros or other content where the body was, and bytes that
// were verified before are not compared again.
func (h *fileHit) mayHandOut(n int) error {
	if h.pos+int64(n) < h.end {
		return nil
	}
	size, modified, err := stateOf(h.f)
	switch {
	case err != nil:
		return h.fail(err)
	case size == h.fileSize && modified == h.modified:
		return nil
	}
	// A new meta also changes the file, but not the body. So compare the body.
	buf := chunkBuffers.Get().(*[chunkSize]byte)
	defer chunkBuffers.Put(buf)
	for i := h.from >> chunkLog; i<<chunkLog < h.end; i++ {
		if _, _, err := h.check.load(h.f, i, buf); err != nil {
			return h.fail(err)
		}
	}
	h.fileSize, h.modified = size, modified
	return nil
}

// checked checks the chunk at the position, and returns its bytes from there to the end of the
// chunk or of the range.
func (h *fileHit) checked() ([]byte, error) {
	i := h.pos >> chunkLog
	if h.buf == nil {
		h.buf = chunkBuffers.Get().(*[chunkSize]byte)
	}
	if h.chunk == nil || h.at != i {
		chunk, last, err := h.check.load(h.f, i, h.buf)
		h.chunk, h.at = chunk, i
		if err != nil {
			h.chunk = nil
			return nil, h.fail(err)
		}
		if last {
			h.store.remember(h.hash, h.gen, h.check)
		}
	}
	from := i << chunkLog
	return h.chunk[h.pos-from : min(h.end-from, int64(len(h.chunk)))], nil
}

// fail handles an error of reading the file, and returns it. Damage removes the entry, unless
// another entry has taken its place.
func (h *fileHit) fail(err error) error {
	if !errors.Is(err, errDamaged) {
		h.store.reads.fail(err)
		return err
	}
	st := h.store.stripe(h.hash)
	st.mu.Lock()
	var release int64
	inPlace := st.open[h.hash] == h.gen
	if inPlace {
		release, _ = h.store.discard(st, h.hash, err)
	}
	st.mu.Unlock()
	h.store.ledger.release(release)
	if inPlace {
		h.store.ledger.eviction.Remove(h.compact())
	}
	return err
}

// Close closes the file. Closing again does nothing.
func (h *fileHit) Close() error {
	if h.closed {
		return nil
	}
	h.closed = true
	if h.buf != nil {
		chunkBuffers.Put(h.buf)
		h.buf, h.chunk = nil, nil
	}
	err := h.f.Close()
	h.store.open.Add(-1)
	h.store.ledger.release(h.store.stripe(h.hash).drop(h.hash, h.gen))
	return err
}

// writeAll calls w.Write and enforces the rules of io.Writer.
func writeAll(w io.Writer, p []byte) (int, error) {
	n, err := w.Write(p)
	n = min(max(n, 0), len(p))
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// remember notes in the index that the body of g, which check has verified, is intact.
func (s *Store) remember(hash cirque.HashBinary, g *generation, check *verifier) {
	st := s.stripe(hash)
	st.mu.Lock()
	defer st.mu.Unlock()
	if check.stable && g.check == check && st.open[hash] == g {
		s.index.update(hash, func(r *record) { r.stamp = g.stamp })
	}
}
