package memcache

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// writeOverhead is what a write under way weighs beyond its segments, key text and meta.
const writeOverhead = 512

var errEnded = errors.New("memcache: write has ended")

// write is one write under way.
//
// INVARIANT: while refs is above zero, overhead bytes of the budget are taken for the write (unless refused), and
// its body, if it left one, is referenced. The writer has one reference until it ends, each open
// partialHit one. References are added only while the writer has its own, under the shard's lock.
type write struct {
	cache  *MemCache
	shard  *shard
	key    cirque.CacheKey
	meta   *cirque.CacheMeta
	tag    cirque.Tag
	opts   cirque.MissOptions
	buffer *stream.Buffer
	body   *body // set before the writer gives up its reference
	refs   atomic.Int32

	overhead int64
	refused  bool // there was no room for overhead: the write is unlinked before its first byte

	// Guarded by shard.mu.
	next      *write // in shard.writes
	voided    bool   // by an invalidation
	overtaken bool   // an entry was put in place since this began
	ended     bool
}

var _ cirque.StreamingMissHandler = (*write)(nil)

// MissHandler implements [cirque.Storage]. The handler is a [cirque.StreamingMissHandler]. Where
// the budget refuses even the bookkeeping, the write is unlinked before its first byte.
func (c *MemCache) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w := &write{
		cache:    c,
		shard:    c.shard(key.PrimaryHash()),
		key:      key,
		meta:     meta,
		tag:      cirque.Tag(c.tags.Add(1)),
		opts:     opts,
		overhead: writeOverhead + int64(len(key.Namespace())+len(key.Primary())+meta.MetaSize()),
		buffer: stream.New(ctx, stream.Options{
			SizeHint:     opts.SizeHint,
			Reserve:      c.config.Budget.Reserve,
			Release:      c.config.Budget.Release,
			Window:       c.config.Window,
			StallTimeout: c.config.StallTimeout,
			Errors: stream.Errors{
				Aborted:    cirque.ErrAborted,
				Unlinked:   cirque.ErrUnlinked,
				NoReaders:  cirque.ErrNoReaders,
				SlowReader: cirque.ErrSlowReader,
			},
		}),
	}
	w.refs.Store(1)
	w.refused = !c.config.Budget.Reserve(w.overhead)
	w.shard.begin(w)
	return w, nil
}

func (w *write) Tag() cirque.Tag { return w.tag }

func (w *write) Readers() int { return w.buffer.Readers() }

func (w *write) Write(p []byte) (int, error) {
	if w.refused {
		w.buffer.Unlink()
	}
	return w.buffer.Write(p)
}

func (w *write) Unlink() { w.buffer.Unlink() }

// NewReader implements [cirque.StreamingMissHandler]. After Finish it is a LookupStreaming.
func (w *write) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	w.shard.mu.RLock()
	if !w.ended {
		defer w.shard.mu.RUnlock()
		return w.newReader(ctx)
	}
	w.shard.mu.RUnlock()
	_, h, err := w.cache.LookupStreaming(ctx, w.key, w.tag)
	return h, err
}

// newReader is called with the shard's lock held, for a write that has not ended.
func (w *write) newReader(ctx context.Context) (cirque.HitHandler, error) {
	r, err := w.buffer.NewReader(ctx)
	if err != nil {
		return nil, cirque.ErrNotFound
	}
	w.refs.Add(1)
	return &partialHit{Reader: r, write: w}, nil
}

// isFor reports whether w writes the entry of key, by text.
func (w *write) isFor(key *cirque.CacheKey) bool {
	return w.key.Combined() == key.Combined() && w.key.Primary() == key.Primary() &&
		w.key.Namespace() == key.Namespace() && w.key.Variance() == key.Variance()
}

func (w *write) Finish() (cirque.MissFinish, error) {
	if w.ended {
		return cirque.MissFinish{}, errEnded
	}
	defer w.end()
	if w.refused {
		w.buffer.Unlink()
	}
	if err := w.buffer.Finish(); err != nil {
		return cirque.MissFinish{}, err
	}
	e := w.newEntry()
	if e == nil {
		return cirque.MissFinish{}, cirque.ErrUnlinked
	}
	old, ok := w.shard.commit(w, e)
	if !ok {
		w.cache.release(e)
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	if old != nil {
		w.cache.release(old)
	}
	return cirque.MissFinish{Size: e.weight()}, nil
}

// newEntry returns the entry that the finished buffer makes, or nil where there is no room for it.
func (w *write) newEntry() *entry {
	identity := string(w.key.AppendIdentity(nil))
	if size := w.buffer.Size(); size <= inlineMax {
		return w.cache.newEntry(identity, w.meta, w.tag, nil, int(size), w.buffer.AppendTo)
	}
	var ok bool
	if w.body, ok = w.cache.takeBody(w.buffer); !ok {
		return nil
	}
	w.body.refs.Add(1)
	e := w.cache.newEntry(identity, w.meta, w.tag, w.body, 0, nil)
	if e == nil {
		w.cache.releaseBody(w.body)
	}
	return e
}

func (w *write) Abort() {
	if !w.ended {
		w.buffer.Abort(nil)
		w.end()
	}
}

// end is the writer's last call.
func (w *write) end() {
	w.shard.mu.Lock()
	w.shard.unlist(w)
	w.ended = true
	w.shard.mu.Unlock()
	w.buffer.Close()
	w.release()
}

// release gives up one reference.
func (w *write) release() {
	if w.refs.Add(-1) > 0 {
		return
	}
	if !w.refused {
		w.cache.config.Budget.Release(w.overhead)
	}
	if w.body != nil {
		w.cache.releaseBody(w.body)
	}
}

// begin lists w as the newest write for its key.
func (s *shard) begin(w *write) {
	s.mu.Lock()
	defer s.mu.Unlock()
	primary := w.key.PrimaryHash()
	w.next = s.writes[primary]
	s.writes[primary] = w
}

// unlist takes w off the writes under way, if it is among them. Called with mu held.
func (s *shard) unlist(w *write) {
	primary := w.key.PrimaryHash()
	first := s.writes[primary]
	for at := &first; *at != nil; at = &(*at).next {
		if *at == w {
			*at, w.next = w.next, nil
			break
		}
	}
	if first == nil {
		delete(s.writes, primary)
	} else {
		s.writes[primary] = first
	}
}

// void voids the writes under way for key and, if it names the primary slot, for its variants. It reports
// whether a linked one was among them. Called with mu held.
func (s *shard) void(key cirque.CompactCacheKey) (linked bool) {
	for w := s.writes[key.Primary]; w != nil; {
		next := w.next
		if key.IsPrimary() || w.key.Variance() == key.Variance {
			w.voided = true
			linked = linked || !w.buffer.Unlinked()
			s.unlist(w)
		}
		w = next
	}
	return linked
}

// commit puts e, which w has written, in the place of its key and returns what was there. It reports false
// if w was voided or the entry it was to replace is no longer there.
func (s *shard) commit(w *write, e *entry) (old *entry, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	combined := w.key.Combined()
	old = s.entries[combined]
	if w.voided || w.opts.Replaces != 0 && (old == nil || old.tag != w.opts.Replaces) {
		return nil, false
	}
	s.entries[combined] = e
	s.unlist(w)
	for other := s.writes[w.key.PrimaryHash()]; other != nil; other = other.next {
		if other.key.Combined() == combined {
			other.overtaken = true
		}
	}
	return old, true
}
