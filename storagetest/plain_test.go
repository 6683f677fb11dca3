package storagetest

import (
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
)

// plain is a Storage without streaming, as simple as can be, that has at most one bug.
type plain struct {
	bug    string
	budget *cirque.Budget

	held atomic.Int64
	mu   sync.Mutex
	tags cirque.Tag

	invalidated []cirque.CompactCacheKey

	entries map[cirque.HashBinary]*plainEntry
	writes  map[*plainWrite]bool
	purges  cirque.PurgeState
}

func (s *plain) Purges() *cirque.PurgeState {
	if s.has("makes a state for everybody") {
		return new(cirque.PurgeState)
	}
	return &s.purges
}

func newPlain(bug string, budget *cirque.Budget) *plain {
	return &plain{
		bug: bug, budget: budget,
		entries: map[cirque.HashBinary]*plainEntry{}, writes: map[*plainWrite]bool{},
	}
}

type plainEntry struct {
	key     cirque.CacheKey
	meta    *cirque.CacheMeta
	body    []byte
	tag     cirque.Tag
	refs    int // guarded by plain.mu
	pos     int
	charged int64
}

func (e *plainEntry) weight() int64 { return int64(len(e.body)+e.meta.MetaSize()) + 100 }

// Held implements cirque.HoldingStorage, without the lock, which a reservation may be made under.
func (s *plain) Held() int64 { return s.held.Load() }

// count counts what is held. Called with mu held.
func (s *plain) count() {
	held := int64(0)
	for _, e := range s.entries {
		if e.refs > 1 && !s.has("cannot tell what is held") {
			held += e.charged
		}
	}
	s.held.Store(held)
}

// reopen returns what another process would find.
func (s *plain) reopen() *plain {
	next := newPlain(s.bug, s.budget)
	next.tags = s.tags
	switch {
	case s.has("reopens what was unfinished"):
		for w := range s.writes {
			w.Finish()
		}
	case s.has("forgets all when reopened"):
		return next
	case s.has("gives tags out again when reopened"):
		next.tags = 0
	}
	next.entries = s.entries
	if !s.has("forgets purges when reopened") {
		next.purges.Restore(nil, s.purges.Snapshot()...)
	}
	return next
}

func (s *plain) has(bug string) bool { return s.bug == bug }

func (s *plain) reserve(n int64) bool {
	if s.has("reserves under its lock") {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	return s.budget.Reserve(n)
}

// slot is where the entry of k is kept.
func (s *plain) slot(k cirque.CacheKey) cirque.HashBinary {
	switch {
	case s.has("ignores namespaces"):
		return cirque.NewCacheKey("", k.Primary(), "").WithVariance(k.Variance()).Combined()
	case s.has("keys by user tag"):
		return cirque.NewCacheKey(k.Namespace(), k.Primary()+k.Compact().UserTag, "").WithVariance(k.Variance()).Combined()
	case s.has("ignores variance"):
		return k.PrimaryHash()
	}
	return k.Combined()
}

func (s *plain) find(k cirque.CacheKey) *plainEntry {
	e := s.entries[s.slot(k)]
	if e == nil {
		return nil
	}
	switch {
	case s.has("ignores namespaces"), s.has("keys by user tag"), s.has("ignores variance"):
		return e
	case s.has("ignores key text") && k.Variance().IsZero():
		return e
	case s.has("ignores key text of variants") && !k.Variance().IsZero():
		return e
	}
	if string(e.key.AppendIdentity(nil)) != string(k.AppendIdentity(nil)) {
		return nil
	}
	return e
}

func (s *plain) Lookup(_ context.Context, k cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s.mu.Lock()
	e := s.find(k)
	if e == nil && s.has("visible before Finish") {
		for w := range s.writes {
			if w.key.Combined() == k.Combined() && !w.voided {
				e = &plainEntry{meta: w.meta, body: w.body}
			}
		}
	}
	if e == nil {
		s.mu.Unlock()
		return nil, nil, cirque.ErrNotFound
	}
	e.refs++
	s.count()
	h := &plainHit{s: s, e: e, body: e.body, end: len(e.body)}
	if s.has("shares positions") {
		h.pos = e.pos
	}
	m := e.meta
	s.mu.Unlock()
	if s.has("mixes meta and body") {
		runtime.Gosched()
		s.mu.Lock()
		if now := s.find(k); now != nil {
			h.body, h.end = now.body, len(now.body)
		}
		s.mu.Unlock()
	}
	if s.has("starts goroutines per hit") {
		h.whole = make(chan struct{})
		go func() { <-h.whole }()
	}
	return m, h, nil
}

func (s *plain) MissHandler(_ context.Context, k cirque.CacheKey, m *cirque.CacheMeta, o cirque.MissOptions) (cirque.MissHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags++
	w := &plainWrite{s: s, key: k, meta: m, opts: o, tag: s.tags}
	if s.has("gives tags out again") {
		w.tag = s.tags%10 + 1
	}
	if s.has("forgets the epoch") {
		w.meta = m.Clone()
		w.meta.SetEpochOverride(day)
	}
	s.writes[w] = true
	return w, nil
}

func (s *plain) Purge(_ context.Context, k cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.writes {
		mine := w.key.PrimaryHash() == k.Primary && w.key.Variance() == k.Variance
		variant := w.key.PrimaryHash() == k.Primary && k.IsPrimary()
		switch {
		case s.has("invalidation ignores writes"):
		case typ == cirque.PurgeEviction:
			w.voided = w.voided || mine && s.has("eviction voids writes")
		case mine, variant && !s.has("invalidation forgets writes of variants"), s.has("invalidation voids all writes"):
			w.voided = true
		}
	}
	e := s.entries[k.Combined()]
	if s.has("ignores namespaces") || s.has("keys by user tag") || s.has("ignores variance") {
		for _, other := range s.entries {
			if other.key.PrimaryHash() == k.Primary && other.key.Variance() == k.Variance {
				e = other
			}
		}
	}
	if e == nil {
		if s.has("invalidation lasts") && typ == cirque.PurgeInvalidation {
			s.invalidated = append(s.invalidated, k)
		}
		if s.has("purges what is not there") {
			return nil
		}
		return cirque.ErrNotFound
	}
	if s.has("purge takes all variants") {
		maps.DeleteFunc(s.entries, func(_ cirque.HashBinary, other *plainEntry) bool {
			return other.key.PrimaryHash() == k.Primary
		})
	}
	if s.has("purge cuts readers short") {
		clear(e.body)
	}
	delete(s.entries, s.slot(e.key))
	if !s.has("keeps the charge of purged entries") {
		s.drop(e)
	}
	return nil
}

func (s *plain) UpdateMeta(_ context.Context, k cirque.CacheKey, m *cirque.CacheMeta, tag cirque.Tag) error {
	s.mu.Lock()
	if s.has("update reaches writes under way") {
		for w := range s.writes {
			if w.tag == tag {
				w.meta = m
			}
		}
	}
	old := s.find(k)
	switch {
	case s.entries[s.slot(k)] == nil && s.has("update brings back the purged"):
		s.entries[s.slot(k)] = &plainEntry{key: k, meta: m, tag: tag}
		s.mu.Unlock()
		return cirque.ErrNotFound
	case old == nil || old.tag != tag && !s.has("update ignores the tag"):
		s.mu.Unlock()
		return cirque.ErrNotFound
	case s.has("update changes the meta that readers have"):
		*old.meta = *m.Clone()
		s.mu.Unlock()
		return nil
	}
	updated := &plainEntry{key: old.key, meta: m, body: old.body, tag: old.tag, refs: 1}
	if s.has("update forgets extensions") {
		updated.meta = m.Clone()
		updated.meta.SetExtension("example.one", "")
	}
	if s.has("update drops large bodies") && len(old.body) > 500_000 {
		updated.body = nil
	}
	if s.has("update gives a new tag") {
		s.tags++
		updated.tag = s.tags
	}
	if updated.charged = updated.weight(); s.has("update is not charged") {
		updated.charged = old.charged
	}
	s.mu.Unlock()
	if !s.budget.Reserve(updated.charged) {
		return errors.New("no room")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[s.slot(k)] != old {
		s.drop(updated)
		return cirque.ErrNotFound
	}
	s.entries[s.slot(k)] = updated
	s.drop(old)
	return nil
}

// drop gives up a reference. Called with mu held.
func (s *plain) drop(e *plainEntry) {
	defer s.count()
	if e.refs--; e.refs == 0 || e.refs > 0 && s.has("releases what is still open") {
		s.budget.Release(e.charged)
		e.charged = 0
	}
}

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
	case s.has("mixes up bytes") && size > 0:
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
	if w.ended && !w.s.has("takes Abort seriously after Finish") {
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
