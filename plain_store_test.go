package cirque_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/storagetest"
)

// plainStore is a Storage that does only what it must: it shows a body when it is whole.
type plainStore struct {
	mu      sync.Mutex
	tags    cirque.Tag
	entries map[cirque.HashBinary]plainEntry
	voided  map[cirque.Tag]bool
	writes  map[cirque.Tag]cirque.CompactCacheKey // under way
	purges  cirque.PurgeState
}

func (s *plainStore) Purges() *cirque.PurgeState { return &s.purges }

type plainEntry struct {
	text string
	meta *cirque.CacheMeta
	body string
	tag  cirque.Tag
}

func newPlainStore() *plainStore {
	return &plainStore{
		entries: map[cirque.HashBinary]plainEntry{},
		voided:  map[cirque.Tag]bool{},
		writes:  map[cirque.Tag]cirque.CompactCacheKey{},
	}
}

func (s *plainStore) Lookup(_ context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries[key.Combined()]
	if !ok || e.text != string(key.AppendIdentity(nil)) {
		return nil, nil, cirque.ErrNotFound
	}
	return e.meta, &plainHit{entry: e, Reader: strings.NewReader(e.body)}, nil
}

func (s *plainStore) MissHandler(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tags++
	s.writes[s.tags] = key.Compact()
	return &plainWrite{store: s, key: key, meta: meta, tag: s.tags, replaces: opts.Replaces}, nil
}

func (s *plainStore) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ == cirque.PurgeInvalidation {
		for tag, k := range s.writes {
			if k.Primary == key.Primary && (key.IsPrimary() || k.Variance == key.Variance) {
				s.voided[tag] = true
			}
		}
	}
	if _, ok := s.entries[key.Combined()]; !ok {
		return cirque.ErrNotFound
	}
	delete(s.entries, key.Combined())
	return nil
}

func (s *plainStore) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[key.Combined()]
	if tag == 0 || e.tag != tag || e.text != string(key.AppendIdentity(nil)) {
		return cirque.ErrNotFound
	}
	e.meta = meta
	s.entries[key.Combined()] = e
	return nil
}

type plainWrite struct {
	store    *plainStore
	key      cirque.CacheKey
	meta     *cirque.CacheMeta
	tag      cirque.Tag
	replaces cirque.Tag
	body     bytes.Buffer
}

func (w *plainWrite) Tag() cirque.Tag { return w.tag }

func (w *plainWrite) Write(p []byte) (int, error) { return w.body.Write(p) }

func (w *plainWrite) Abort() {
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	delete(w.store.writes, w.tag)
	delete(w.store.voided, w.tag)
}

func (w *plainWrite) Finish() (cirque.MissFinish, error) {
	defer w.Abort()
	s, key := w.store, w.key.Combined()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.voided[w.tag] || w.replaces != 0 && s.entries[key].tag != w.replaces {
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	e := plainEntry{text: string(w.key.AppendIdentity(nil)), meta: w.meta, body: w.body.String(), tag: w.tag}
	s.entries[key] = e
	return cirque.MissFinish{Size: e.weight()}, nil
}

func (e plainEntry) weight() int64 { return int64(len(e.text) + e.meta.MetaSize() + len(e.body)) }

type plainHit struct {
	*strings.Reader
	entry plainEntry
}

func (h *plainHit) Close() error { return nil }

func (h *plainHit) Size() (int64, bool) { return int64(len(h.entry.body)), true }

func (h *plainHit) CanSeek() bool { return false }

func (h *plainHit) SeekRange(int64, int64) error { return errors.ErrUnsupported }

func (h *plainHit) Tag() cirque.Tag { return h.entry.tag }

func (h *plainHit) Weight() int64 { return h.entry.weight() }

func (h *plainHit) CountsAccess() bool { return true }

func TestPlainStoreKeepsTheRulesOfStorage(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage { return newPlainStore() }, storagetest.Features{})
}
