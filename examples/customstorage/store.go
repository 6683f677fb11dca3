package main

import (
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cirquecache/cirque"
)

// store is a cirque.Storage that keeps bodies compressed. What it cannot do it does not claim: a
// write can't be read before it is finished (no StreamingStorage), and hits can't seek.
type store struct {
	mu      sync.Mutex
	tags    cirque.Tag // the last one given out
	entries map[cirque.HashBinary]*entry
	writes  map[*write]bool // under way, and not voided
	purges  cirque.PurgeState
}

// entry never changes, so those who read it need no lock: another takes its place.
type entry struct {
	key  string // its text, because hashes may collide
	tag  cirque.Tag
	meta *cirque.CacheMeta
	body []byte // compressed
	size int64  // of the body before that
}

func newStore() *store {
	return &store{entries: map[cirque.HashBinary]*entry{}, writes: map[*write]bool{}}
}

// Purges of everything and of groups are the library's work, as long as the entries end with the
// process.
func (s *store) Purges() *cirque.PurgeState { return &s.purges }

// find is called with mu held.
func (s *store) find(key cirque.CacheKey) (*entry, error) {
	if e := s.entries[key.Combined()]; e != nil && e.key == string(key.AppendIdentity(nil)) {
		return e, nil
	}
	return nil, cirque.ErrNotFound
}

func (s *store) Lookup(_ context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(key)
	if err != nil {
		return nil, nil, err
	}
	return e.meta, &hit{flate.NewReader(bytes.NewReader(e.body)), e}, nil
}

func (s *store) MissHandler(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags++
	w := &write{store: s, key: key, replaces: opts.Replaces}
	w.entry = &entry{key: string(key.AppendIdentity(nil)), tag: s.tags, meta: meta}
	w.flate, _ = flate.NewWriter(&w.compressed, flate.BestSpeed) // fails for unknown levels only
	s.writes[w] = true
	return w, nil
}

func (s *store) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ == cirque.PurgeInvalidation {
		// What is being written has been fetched before the purge, and must not be served after it.
		for w := range s.writes {
			if w.key.PrimaryHash() == key.Primary && (key.IsPrimary() || w.key.Variance() == key.Variance) {
				delete(s.writes, w)
			}
		}
	}
	if s.entries[key.Combined()] == nil {
		return cirque.ErrNotFound
	}
	delete(s.entries, key.Combined())
	return nil
}

func (s *store) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.find(key)
	if err != nil || e.tag != tag {
		return cirque.ErrNotFound
	}
	updated := *e
	updated.meta = meta
	s.entries[key.Combined()] = &updated
	return nil
}

// write is a cirque.MissHandler.
type write struct {
	store      *store
	key        cirque.CacheKey
	replaces   cirque.Tag
	entry      *entry
	compressed bytes.Buffer
	flate      *flate.Writer
}

func (w *write) Tag() cirque.Tag { return w.entry.tag }

func (w *write) Write(p []byte) (int, error) {
	w.entry.size += int64(len(p))
	return w.flate.Write(p)
}

func (w *write) Finish() (cirque.MissFinish, error) {
	defer w.Abort()
	if err := w.flate.Close(); err != nil {
		return cirque.MissFinish{}, err
	}
	w.entry.body = bytes.Clone(w.compressed.Bytes()) // without the room it had to grow
	s, slot := w.store, w.key.Combined()
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.entries[slot]
	if !s.writes[w] || w.replaces != 0 && (old == nil || old.tag != w.replaces) {
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	s.entries[slot] = w.entry
	return cirque.MissFinish{Size: w.entry.weight()}, nil
}

func (w *write) Abort() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writes, w)
}

// weight is in bytes. The hundred is for the entry itself and its place in the map.
func (e *entry) weight() int64 { return int64(len(e.key)+e.meta.MetaSize()+len(e.body)) + 100 }

// hit is a cirque.HitHandler; it reads the body as it is decompressed.
type hit struct {
	io.ReadCloser
	entry *entry
}

func (h *hit) Size() (int64, bool)        { return h.entry.size, true }
func (h *hit) CanSeek() bool              { return false }
func (h *hit) SeekRange(_, _ int64) error { return errors.ErrUnsupported }
func (h *hit) Tag() cirque.Tag            { return h.entry.tag }
func (h *hit) Weight() int64              { return h.entry.weight() }
func (h *hit) CountsAccess() bool         { return true }
