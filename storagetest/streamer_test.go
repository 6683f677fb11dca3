package storagetest

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/stats"
)

// streamer is a MemCache that has the bug with the name bug; none if that is empty.
type streamer struct {
	*memcache.MemCache
	bug string

	mu     sync.Mutex
	writes map[cirque.Tag]*streamerWrite
	last   cirque.Tag // of the write that was finished last
	purges int
}

func newStreamer(bug string, budget *cirque.Budget) *streamer {
	config := memcache.Config{Budget: budget}
	if bug == "keeps all that is unlinked" {
		config.Window = 1 << 30
	}
	return &streamer{MemCache: memcache.New(config), bug: bug, writes: map[cirque.Tag]*streamerWrite{}}
}

func (s *streamer) has(bug string) bool { return s.bug == bug }

// key returns the key that the MemCache is given; if the bug is "keys by hash", one with the same
// hashes and without the text of k.
func (s *streamer) key(k cirque.CacheKey) cirque.CacheKey {
	if !s.has("keys by hash") {
		return k
	}
	return cirque.NewCacheKey("", "", "").WithPrimaryHash(k.PrimaryHash()).WithVariance(k.Variance())
}

func (s *streamer) Lookup(ctx context.Context, k cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if s.has("ignores the context of Lookup") {
		ctx = context.Background()
	}
	m, h, err := s.MemCache.Lookup(ctx, s.key(k))
	if err != nil || h.CountsAccess() {
		return m, h, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.has("does not stream"):
		h.Close()
		return nil, nil, cirque.ErrNotFound
	case s.has("prefers the entry") && s.last != 0:
		if m, entry, err := s.MemCache.LookupStreaming(ctx, k, s.last); err == nil {
			h.Close()
			return m, entry, nil
		}
	}
	return m, &streamerHit{h, s, s.purges, false}, nil
}

func (s *streamer) LookupStreaming(ctx context.Context, k cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if s.has("looks up by key where it should by tag") {
		return s.Lookup(ctx, k)
	}
	m, h, err := s.MemCache.LookupStreaming(ctx, s.key(k), tag)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w := s.writes[tag]; err != nil && w != nil && w.voided && s.has("finds what was voided") {
		h, err = w.StreamingMissHandler.NewReader(ctx)
		return w.meta, h, err
	}
	return m, h, err
}

func (s *streamer) MissHandler(ctx context.Context, k cirque.CacheKey, m *cirque.CacheMeta, o cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := s.MemCache.MissHandler(ctx, s.key(k), m, o)
	if err != nil {
		return nil, err
	}
	sw := &streamerWrite{StreamingMissHandler: w.(cirque.StreamingMissHandler), s: s, key: k, meta: m}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes[w.Tag()] = sw
	return sw, nil
}

func (s *streamer) UpdateMeta(ctx context.Context, k cirque.CacheKey, m *cirque.CacheMeta, tag cirque.Tag) error {
	if s.has("updates entries only") {
		if _, h, err := s.MemCache.LookupStreaming(ctx, k, tag); err == nil {
			defer h.Close()
			if !h.CountsAccess() {
				return cirque.ErrNotFound
			}
		}
	}
	return s.MemCache.UpdateMeta(ctx, s.key(k), m, tag)
}

func (s *streamer) Purge(ctx context.Context, k cirque.CompactCacheKey, typ cirque.PurgeType) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.purges++
	for _, w := range s.writes {
		w.voided = w.voided || typ == cirque.PurgeInvalidation && w.key.Compact() == k
	}
	if s.has("counts entries only as purged") && s.Len() == 0 {
		_ = s.MemCache.Purge(ctx, k, typ)
		return cirque.ErrNotFound
	}
	return s.MemCache.Purge(ctx, k, typ)
}

type streamerWrite struct {
	cirque.StreamingMissHandler
	s       *streamer
	key     cirque.CacheKey
	meta    *cirque.CacheMeta
	voided  bool // guarded by s.mu
	readers int
}

func (w *streamerWrite) Finish() (cirque.MissFinish, error) {
	w.s.mu.Lock()
	voided := w.voided
	w.s.mu.Unlock()
	if voided && w.s.has("aborts what was voided") {
		w.Abort()
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	f, err := w.StreamingMissHandler.Finish()
	if err == nil {
		w.s.mu.Lock()
		w.s.last = w.Tag()
		w.s.mu.Unlock()
	}
	return f, err
}

func (w *streamerWrite) Unlink() {
	if !w.s.has("ignores Unlink") {
		w.StreamingMissHandler.Unlink()
	}
}

func (w *streamerWrite) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	h, err := w.StreamingMissHandler.NewReader(ctx)
	if err != nil {
		return nil, err
	}
	w.s.mu.Lock()
	defer w.s.mu.Unlock()
	return &streamerHit{h, w.s, w.s.purges, true}, nil
}

func (w *streamerWrite) Readers() int {
	if n := w.StreamingMissHandler.Readers(); n > w.readers || !w.s.has("counts readers that have left") {
		w.readers = n
	}
	return w.readers
}

type streamerHit struct {
	cirque.HitHandler
	s      *streamer
	purges int
	own    bool // made by NewReader
}

func (h *streamerHit) Read(p []byte) (int, error) {
	h.s.mu.Lock()
	purged := h.s.purges != h.purges
	h.s.mu.Unlock()
	if purged && h.s.has("reads on only until a purge") {
		return 0, errors.New("purged")
	}
	n, err := h.HitHandler.Read(p)
	if errors.Is(err, cirque.ErrAborted) && h.s.has("ends aborted reads cleanly") {
		err = io.EOF
	}
	return n, err
}

func (h *streamerHit) WriteTo(w io.Writer) (int64, error) {
	if h.s.has("WriteTo stops too early") && !h.own {
		return io.CopyN(w, h.HitHandler, 100_000)
	}
	n, err := h.HitHandler.(io.WriterTo).WriteTo(w)
	if errors.Is(err, cirque.ErrAborted) && h.s.has("ends aborted WriteTo cleanly") {
		err = nil
	}
	return n, err
}

func (h *streamerHit) Size() (int64, bool) {
	n, known := h.HitHandler.Size()
	return n, known || h.s.has("knows the size too early")
}

func (h *streamerHit) CountsAccess() bool { return h.s.has("counts accesses of partial hits") }

// StorageStats implements stats.StorageReporter.
func (s *streamer) StorageStats() []stats.Storage {
	all := s.MemCache.StorageStats()
	m := &all[0]
	switch {
	case s.has("reports writes as entries"):
		s.mu.Lock()
		m.Entries = int64(len(s.writes))
		s.mu.Unlock()
	case s.has("reports nothing that is open"):
		m.Bytes.Open = 0
	case s.has("reports writes under way as open"):
		m.Bytes.Open, m.Bytes.InFlight = m.Bytes.Open+m.Bytes.InFlight, 0
	case s.has("reports no refusals"):
		m.Refused = 0
	case s.has("reports misses as errors"):
		o := m.Operations["purge"]
		o.Errors = 1
		m.Operations["purge"] = o
	}
	return all
}
