package storagetest

import (
	"context"
	"errors"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
)

// plain is a simple Storage without streaming. It has the bug with the name bug; none if that is
// empty.
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
	listed  []*plainEntry // what was purged
}

func (s *plain) Purges() *cirque.PurgeState {
	if s.has("makes a state for each call") {
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

// Held implements cirque.HoldingStorage. It does not lock mu, because a caller of Budget.Reserve
// may hold mu.
func (s *plain) Held() int64 { return s.held.Load() }

// count updates held. mu must be held.
func (s *plain) count() {
	held := int64(0)
	for _, e := range s.entries {
		if e.refs > 1 && !s.has("cannot tell what is held") {
			held += e.charged
		}
	}
	s.held.Store(held)
}

// reopen returns a store with what another process would find.
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
	return s.budget.Reserve(nil, n)
}

// slot returns the hash under which the entry of k is kept.
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
	for w := range s.writes {
		switch {
		case w.key.Combined() != k.Combined() || w.voided:
		case e == nil && s.has("visible before Finish"):
			e = &plainEntry{meta: w.meta, body: w.body}
		case s.has("hides an entry that a write will replace"):
			e = nil
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
		variant := w.key.PrimaryHash() == k.Primary && k.Variance.IsZero()
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
		if s.has("invalidation voids later writes") && typ == cirque.PurgeInvalidation {
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
	s.listed = append(s.listed, e)
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
	if !s.budget.Reserve(nil, updated.charged) {
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

// drop gives up a reference to e. mu must be held.
func (s *plain) drop(e *plainEntry) {
	defer s.count()
	if e.refs--; e.refs == 0 || e.refs > 0 && s.has("releases what is still open") {
		s.budget.Release(e.charged)
		e.charged = 0
	}
}
