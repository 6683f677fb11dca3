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

var (
	errEnded       = errors.New("memcache: write has ended")
	errMetaChanged = errors.New("memcache: meta has changed")
)

// write is one write under way.
//
// INVARIANT: while refs is above zero, overhead bytes of the budget are taken for the write (unless refused), and
// its body, if it left one, is referenced. The writer has one reference until it ends, each open
// partialHit one. References are added only while the writer has its own, under the shard's lock.
type write struct {
	cache  *MemCache
	shard  *shard
	key    cirque.CacheKey
	tag    cirque.Tag
	opts   cirque.MissOptions
	buffer *stream.Buffer
	body   *body // set before the writer gives up its reference
	refs   atomic.Int32

	refused bool // there was no room for overhead: the write is unlinked before its first byte

	// Guarded by shard.mu.
	meta      *cirque.CacheMeta
	overhead  int64
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
	for {
		meta := w.currentMeta()
		e := w.newEntry(meta)
		if e == nil {
			return cirque.MissFinish{}, cirque.ErrUnlinked
		}
		old, err := w.shard.commit(w, e, meta)
		switch {
		case err == nil:
			if old != nil {
				w.cache.release(old)
			}
			return cirque.MissFinish{Size: e.weight()}, nil
		case err != errMetaChanged:
			w.cache.release(e)
			return cirque.MissFinish{}, err
		}
		w.cache.release(e)
	}
}

func (w *write) currentMeta() *cirque.CacheMeta {
	w.shard.mu.RLock()
	defer w.shard.mu.RUnlock()
	return w.meta
}

// newEntry returns the entry that the finished buffer makes with meta, or nil where there is no room for it.
func (w *write) newEntry(meta *cirque.CacheMeta) *entry {
	identity := string(w.key.AppendIdentity(nil))
	if size := w.buffer.Size(); size <= inlineMax {
		return w.cache.newEntry(identity, meta, w.tag, nil, int(size), w.buffer.AppendTo)
	}
	if w.body == nil {
		var ok bool
		if w.body, ok = w.cache.takeBody(w.buffer); !ok {
			return nil
		}
	}
	w.body.refs.Add(1)
	e := w.cache.newEntry(identity, meta, w.tag, w.body, 0, nil)
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

// updateWrite replaces the meta of the linked write under way with that tag, if there is one.
func (c *MemCache) updateWrite(s *shard, key *cirque.CacheKey, meta *cirque.CacheMeta, tag cirque.Tag) (found bool, err error) {
	s.mu.RLock()
	w := s.linked(key, tag)
	s.mu.RUnlock()
	if w == nil {
		return false, nil
	}
	size := int64(meta.MetaSize())
	if !c.config.Budget.Reserve(size) {
		return true, errNoRoomForMeta
	}
	s.mu.Lock()
	if s.linked(key, tag) == w && !w.refused {
		old := int64(w.meta.MetaSize())
		w.meta = meta
		w.overhead += size - old
		found, size = true, old
	}
	s.mu.Unlock()
	c.config.Budget.Release(size)
	return found, nil
}
