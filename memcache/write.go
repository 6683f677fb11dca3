package memcache

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

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
// INVARIANT: while refs is above zero, overhead bytes of the budget are reserved for the write, and
// it has a reference to its body, if it left one. The writer has one reference until it ends, each
// open partialHit has one. A reference may be added only while the writer has its own, under the
// shard's lock.
type write struct {
	cache  *MemCache
	shard  *shard
	key    cirque.CacheKey
	tag    cirque.Tag
	opts   cirque.MissOptions
	trace  *cirque.CacheTrace // of its request; is told which entries are evicted for the write
	buffer *stream.Buffer
	body   *body // set before the writer gives up its reference
	refs   atomic.Int32

	// shard.mu guards the rest.
	meta      *cirque.CacheMeta
	overhead  int64
	next      *write // in shard.writes
	voided    bool   // by an invalidation
	overtaken bool   // an entry was stored since this began
	ended     bool
}

var (
	_ cirque.StreamingMissHandler = (*write)(nil)
	_ io.ReaderFrom               = (*write)(nil)
)

// newWrite lists a write under way for key, or returns an error that wraps [cirque.ErrUnlinked]
// where there is no room for it.
func newWrite(ctx context.Context, c *MemCache, s *shard, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (*write, error) {
	body, trace := c.bodies, cirque.ContextCacheTrace(ctx)
	body.SizeHint = opts.SizeHint
	if trace != nil {
		body.Reserve = func(n int64) bool { return c.budget.begin(trace, n) }
	}
	w := &write{
		cache:    c,
		shard:    s,
		key:      key,
		meta:     meta,
		tag:      cirque.Tag(c.tags.Add(1)),
		opts:     opts,
		trace:    trace,
		overhead: writeOverhead + int64(len(key.Namespace())+len(key.Primary())+meta.MetaSize()),
		buffer:   stream.New(ctx, body),
	}
	w.refs.Store(1)
	if limit := c.budget.Limit(); limit > 0 && opts.SizeHint > limit-w.overhead {
		c.budget.refused.Add(1)
		return nil, errNoRoomForWrite
	}
	if !c.budget.begin(trace, w.overhead) {
		return nil, errNoRoomForWrite
	}
	s.begin(w)
	return w, nil
}

func (w *write) Tag() cirque.Tag { return w.tag }

func (w *write) Readers() int { return w.buffer.Readers() }

func (w *write) Write(p []byte) (int, error) {
	return w.buffer.Write(p)
}

// ReadFrom implements io.ReaderFrom.
func (w *write) ReadFrom(r io.Reader) (int64, error) {
	return w.buffer.ReadFrom(r)
}

func (w *write) Unlink() { w.buffer.Unlink() }

// NewReader implements [cirque.StreamingMissHandler]. After Finish it looks up the stored entry.
func (w *write) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	w.shard.mu.RLock()
	if !w.ended {
		defer w.shard.mu.RUnlock()
		return w.newReader(ctx)
	}
	w.shard.mu.RUnlock()
	_, h, err := w.shard.lookup(ctx, &w.key, w.tag)
	return h, err
}

func (w *write) Finish() (cirque.MissFinish, error) {
	if w.ended {
		return cirque.MissFinish{}, errEnded
	}
	defer w.cache.operations.Write.Since(time.Now())
	defer w.end()
	if err := w.buffer.Finish(); err != nil {
		return cirque.MissFinish{}, err
	}
	return w.store()
}

// store makes an entry of the finished buffer.
func (w *write) store() (cirque.MissFinish, error) {
	budget, size := w.cache.budget, w.buffer.Size()
	weight := int64(0)
	if size > inlineMax {
		if !w.takeBody() {
			return cirque.MissFinish{}, cirque.ErrUnlinked
		}
		size, weight = 0, w.body.charged
	}
	var stack [256]byte
	identity := w.key.AppendIdentity(stack[:0])
	for {
		meta := w.currentMeta()
		block := entryOverhead + int64(len(identity)+meta.MetaSize()) + size
		if !budget.Reserve(w.trace, block) {
			return cirque.MissFinish{}, cirque.ErrUnlinked
		}
		err := w.commit(identity, meta, int(size))
		if err == nil {
			return cirque.MissFinish{Size: weight + block}, nil
		}
		budget.Release(block)
		if err != errMetaChanged {
			return cirque.MissFinish{}, err
		}
	}
}

// takeBody takes the finished body over from the buffer. It reports whether the budget has room for
// the bookkeeping.
func (w *write) takeBody() bool {
	segments, charged := w.buffer.Take()
	w.cache.budget.settle(charged)
	w.body = &body{cache: w.cache, segments: segments, size: w.buffer.Size(), charged: charged}
	w.body.refs.Store(1)
	overhead := int64(bodyOverhead + segmentOverhead*len(segments))
	if !w.cache.budget.Reserve(w.trace, overhead) {
		return false
	}
	w.body.charged += overhead
	return true
}

func (w *write) currentMeta() *cirque.CacheMeta {
	w.shard.mu.RLock()
	defer w.shard.mu.RUnlock()
	return w.meta
}

// commit stores the entry with this meta and that many bytes of inline body. It returns ErrNotFound
// if w was voided, or if the entry that it replaces is no longer there.
func (w *write) commit(identity []byte, meta *cirque.CacheMeta, inline int) error {
	s := w.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case w.voided, w.opts.Replaces != 0 && !s.inPlace(w.key.Combined(), w.opts.Replaces):
		return cirque.ErrNotFound
	case w.meta != meta:
		return errMetaChanged
	}
	s.insert(&w.key, identity, meta, w.tag, w.body, inline, w.buffer.AppendTo)
	s.unlist(w)
	s.overtake(&w.key)
	return nil
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
