package tiered_test

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/cirquecache/cirque"
)

// plain is a Storage with only the required methods.
type plain struct {
	mu      sync.Mutex
	tags    cirque.Tag
	entries map[cirque.HashBinary]plainEntry
	writes  map[*plainWrite]bool
	purges  cirque.PurgeState
}

func (p *plain) Purges() *cirque.PurgeState { return &p.purges }

type plainEntry struct {
	identity string
	meta     *cirque.CacheMeta
	body     []byte
	tag      cirque.Tag
}

func newPlain() *plain {
	return &plain{entries: map[cirque.HashBinary]plainEntry{}, writes: map[*plainWrite]bool{}}
}

func (p *plain) Lookup(_ context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[key.Combined()]
	if !ok || e.identity != string(key.AppendIdentity(nil)) {
		return nil, nil, cirque.ErrNotFound
	}
	return e.meta, &plainHit{reader: bytes.NewReader(e.body), entry: e}, nil
}

func (p *plain) MissHandler(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tags++
	w := &plainWrite{plain: p, key: key, meta: meta, replaces: opts.Replaces, tag: p.tags}
	p.writes[w] = true
	return w, nil
}

func (p *plain) Purge(_ context.Context, key cirque.CompactCacheKey, typ cirque.PurgeType) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.writes {
		if typ == cirque.PurgeInvalidation && w.key.PrimaryHash() == key.Primary && (key.IsPrimary() || w.key.Variance() == key.Variance) {
			delete(p.writes, w)
		}
	}
	if _, ok := p.entries[key.Combined()]; !ok {
		return cirque.ErrNotFound
	}
	delete(p.entries, key.Combined())
	return nil
}

func (p *plain) UpdateMeta(_ context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[key.Combined()]
	if !ok || e.tag != tag || e.identity != string(key.AppendIdentity(nil)) {
		return cirque.ErrNotFound
	}
	e.meta = meta
	p.entries[key.Combined()] = e
	return nil
}

type plainWrite struct {
	plain         *plain
	key           cirque.CacheKey
	meta          *cirque.CacheMeta
	replaces, tag cirque.Tag
	body          []byte
	ended         bool
}

func (w *plainWrite) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

func (w *plainWrite) Finish() (cirque.MissFinish, error) {
	w.plain.mu.Lock()
	defer w.plain.mu.Unlock()
	if w.ended {
		return cirque.MissFinish{}, errors.New("the write has ended")
	}
	w.ended = true
	live := w.plain.writes[w]
	delete(w.plain.writes, w)
	if !live || w.replaces != 0 && w.plain.entries[w.key.Combined()].tag != w.replaces {
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	w.plain.entries[w.key.Combined()] = plainEntry{string(w.key.AppendIdentity(nil)), w.meta, w.body, w.tag}
	return cirque.MissFinish{Size: int64(len(w.body) + w.meta.MetaSize())}, nil
}

func (w *plainWrite) Abort() {
	w.plain.mu.Lock()
	defer w.plain.mu.Unlock()
	w.ended = true
	delete(w.plain.writes, w)
}

func (w *plainWrite) Tag() cirque.Tag { return w.tag }

type plainHit struct {
	reader *bytes.Reader
	entry  plainEntry
}

func (h *plainHit) Close() error { return nil }

func (h *plainHit) Size() (int64, bool) { return int64(len(h.entry.body)), true }

func (h *plainHit) CanSeek() bool { return true }

func (h *plainHit) SeekRange(start, end int64) error {
	if start < 0 || start > end || end > int64(len(h.entry.body)) {
		return errors.New("out of range")
	}
	h.reader = bytes.NewReader(h.entry.body[start:end])
	return nil
}

func (h *plainHit) Tag() cirque.Tag { return h.entry.tag }

func (h *plainHit) Weight() int64 { return int64(len(h.entry.body) + h.entry.meta.MetaSize()) }

func (h *plainHit) CountsAccess() bool { return true }

func (h *plainHit) Read(p []byte) (int, error) { return h.reader.Read(p) }
