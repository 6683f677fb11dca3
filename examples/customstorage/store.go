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

// store is a cirque.Storage that keeps bodies compressed. A write cannot be read before it is
// finished, so store does not implement cirque.StreamingStorage. Its hits cannot seek.
type store struct {
	mu      sync.Mutex
	tags    cirque.Tag // the last tag that was given to an entry
	entries map[cirque.HashBinary]*entry
	writes  map[*write]bool // writes under way, except those that a purge has voided
	purges  cirque.PurgeState
}

// entry never changes, so reading one needs no lock. An update replaces it by another entry.
type entry struct {
	key  string // its text, because hashes may collide
	tag  cirque.Tag
	meta *cirque.CacheMeta
	body []byte // compressed
	size int64  // of the body before compression
}

func newStore() *store {
	return &store{entries: map[cirque.HashBinary]*entry{}, writes: map[*write]bool{}}
}

// Purges implements cirque.Storage. Cirque does the purges of everything and of groups. That is
// enough for a Storage whose entries end with the process.
func (s *store) Purges() *cirque.PurgeState { return &s.purges }

// find returns the entry with this key. The caller must hold mu.
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
	w.flate, _ = flate.NewWriter(&w.compressed, flate.BestSpeed) // fails only for unknown levels
	s.writes[w] = true
	return w, nil
}

func (s *store) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ == cirque.PurgeInvalidation {
		// A response that is being written was fetched before the purge, and must not be served
		// after it.
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
	w.entry.body = bytes.Clone(w.compressed.Bytes()) // without the buffer's unused capacity
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

// weight returns the bytes that e takes. 100 bytes are for the entry itself and its place in the
// map.
func (e *entry) weight() int64 { return int64(len(e.key)+e.meta.MetaSize()+len(e.body)) + 100 }

// hit is a cirque.HitHandler. It decompresses the body while it is read.
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
