package storagetest

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/cirquecache/cirque"
)

type plainWrite struct {
	s       *plain
	key     cirque.CacheKey
	meta    *cirque.CacheMeta
	opts    cirque.MissOptions
	tag     cirque.Tag
	body    []byte
	pieces  [][]byte
	charged int64
	refused bool
	voided  bool // guarded by s.mu
	ended   bool
}

func (w *plainWrite) Tag() cirque.Tag { return w.tag }

func (w *plainWrite) Write(p []byte) (int, error) {
	n := int64(len(p))
	if w.refused = w.refused || !w.s.reserve(n); w.refused {
		if w.s.has("fails without room") {
			return 0, errors.New("no room")
		}
		return len(p), nil
	}
	w.charged += n
	if w.s.has("loses what follows an empty write") && len(w.pieces) > 0 && len(w.pieces[len(w.pieces)-1]) == 0 {
		return len(p), nil
	}
	w.pieces = append(w.pieces, p)
	w.body = append(w.body, p...)
	if w.s.has("changes the caller's buffer") && len(p) >= 500 && len(p) < 512 {
		//lint:ignore SA1023 that is the bug
		p[len(p)-1]++
	}
	return len(p), nil
}

func (w *plainWrite) ReadFrom(r io.Reader) (int64, error) {
	body, err := io.ReadAll(r)
	if err != nil && w.s.has("reads all or nothing") {
		return 0, err
	}
	n, writeErr := w.Write(body)
	return int64(n), cmp.Or(err, writeErr)
}

func (w *plainWrite) Finish() (cirque.MissFinish, error) {
	w.ended = true
	s, e := w.s, &plainEntry{key: w.key, meta: w.meta, body: w.body, tag: w.tag, refs: 1}
	switch size := len(e.body); {
	case s.has("loses the tail") && size > 1<<20:
		e.body = e.body[:size-1]
	case s.has("mixes up bytes of small bodies") && size >= 1000 && size < 10_000 && int64(size) == w.opts.SizeHint:
		e.body[size/2]++
	case s.has("believes the hint") && w.opts.SizeHint > 0:
		e.body = e.body[:min(int64(size), w.opts.SizeHint)]
	case s.has("keeps the caller's buffer"):
		e.body = nil
		for _, p := range w.pieces {
			e.body = append(e.body, p...)
		}
	}
	e.charged = e.weight()
	switch {
	case s.has("charges nothing"):
		e.charged = 0
	case !s.reserve(e.charged):
		w.refused = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.writes, w)
	s.budget.Release(w.charged)
	old := s.entries[s.slot(w.key)]
	gone := old == nil && !s.has("ignores Replaces of the purged") || old != nil && old.tag != w.opts.Replaces && !s.has("ignores Replaces of the replaced")
	switch {
	case w.refused:
		return cirque.MissFinish{}, cirque.ErrUnlinked
	case slices.Contains(s.invalidated, w.key.Compact()):
		s.drop(e)
		return cirque.MissFinish{}, cirque.ErrNotFound
	case w.voided, w.opts.Replaces != 0 && (gone || s.has("refuses all that replaces")):
		s.drop(e)
		return cirque.MissFinish{}, cirque.ErrNotFound
	case len(e.body) == 0 && s.has("drops empty bodies"):
		s.drop(e)
		return cirque.MissFinish{Size: e.weight()}, nil
	case old != nil && old.tag > w.tag && s.has("keeps what began last"):
		s.drop(e)
		return cirque.MissFinish{Size: e.weight()}, nil
	}
	if old != nil {
		if s.has("overwrites in place") && len(old.body) > len(e.body) && old.refs == 1 {
			e.body = append(e.body, old.body[len(e.body):]...)
		}
		if s.has("replacing cuts readers short") {
			clear(old.body)
		}
		if !s.has("keeps the charge of replaced entries") {
			s.drop(old)
		}
	}
	s.entries[s.slot(w.key)] = e
	s.count()
	return cirque.MissFinish{Size: e.weight()}, nil
}

func (w *plainWrite) Abort() {
	if w.ended && !w.s.has("aborts after Finish") {
		return
	}
	if !w.ended && w.s.has("commits on Abort") {
		w.Finish()
		return
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	if w.ended {
		delete(w.s.entries, w.s.slot(w.key))
		return
	}
	w.ended = true
	delete(w.s.writes, w)
	if w.s.has("Abort removes the entry") {
		delete(w.s.entries, w.s.slot(w.key))
	}
	if !w.s.has("charges aborted writes for good") {
		w.s.budget.Release(w.charged)
	}
}

type plainHit struct {
	s        *plain
	e        *plainEntry
	body     []byte
	pos, end int
	whole    chan struct{}
}

func (h *plainHit) Read(p []byte) (int, error) {
	if h.pos >= h.end {
		return 0, io.EOF
	}
	n := copy(p, h.body[h.pos:h.end])
	h.pos += n
	if h.s.has("shares positions") {
		h.e.pos = h.pos % h.end
	}
	if h.s.has("keeps the reader's buffer") && n == len(h.body) {
		h.e.body = p[:n]
	}
	if h.pos == h.end && h.whole != nil {
		close(h.whole)
		h.whole = nil
	}
	return n, nil
}

func (h *plainHit) WriteTo(w io.Writer) (int64, error) {
	rest := h.body[h.pos:h.end]
	if h.s.has("WriteTo starts over") {
		rest = h.body[:h.end]
	}
	n, err := w.Write(rest)
	h.pos += n
	if h.whole != nil {
		close(h.whole)
		h.whole = nil
	}
	if h.s.has("WriteTo hides errors") {
		err = nil
	}
	return int64(n), err
}

func (h *plainHit) Size() (int64, bool) { return int64(len(h.body)), true }
func (h *plainHit) CanSeek() bool       { return !strings.HasPrefix(h.s.bug, "cannot seek") }

func (h *plainHit) SeekRange(start, end int64) error {
	switch {
	case h.s.has("cannot seek"):
		return errors.ErrUnsupported
	case !h.CanSeek():
		return errors.New("no")
	case h.s.has("cuts ranges to fit"):
		size := int64(len(h.body))
		start = min(max(start, 0), size)
		end = min(max(end, start), size)
	case start < 0 || end < start || end > int64(len(h.body)):
		return errors.New("out of range")
	}
	h.pos = int(start)
	if h.end = int(end); h.s.has("reads beyond a range") {
		h.end = len(h.body)
	}
	return nil
}

func (h *plainHit) Tag() cirque.Tag { return h.e.tag }

func (h *plainHit) Weight() int64 {
	if h.s.has("weighs the body only") {
		return int64(len(h.body))
	}
	return h.e.weight()
}

func (h *plainHit) CountsAccess() bool { return true }

func (h *plainHit) Close() error {
	h.s.mu.Lock()
	defer h.s.mu.Unlock()
	if h.e != nil {
		h.s.drop(h.e)
	}
	return nil
}
