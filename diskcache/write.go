package diskcache

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

var errEnded = errors.New("diskcache: write has ended")

// write is one write under way.
type write struct {
	store    *Store
	key      cirque.CacheKey
	hash     cirque.HashBinary
	identity []byte // the key's text
	tag      cirque.Tag
	replaces cirque.Tag
	buffer   *stream.Buffer
	file     bodyFile
	ended    atomic.Bool

	voided    atomic.Bool // by an invalidation
	overtaken bool        // an entry was put in place since this began; guarded by the registry's shard

	mu     sync.Mutex
	meta   atomic.Pointer[cirque.CacheMeta] // changes with mu held
	sealed bool                             // meta is in the file; guarded by mu
}

var _ cirque.StreamingMissHandler = (*write)(nil)

// MissHandler implements [cirque.Storage]. The handler is a [cirque.StreamingMissHandler]. While
// the disk cannot be written to, it returns an error.
//
// When the disk fails in the middle of a write, that becomes unlinked, and Finish returns the
// disk's error.
func (s *Store) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if err := s.updates.err(); err != nil {
		s.updates.turned.Add(1)
		return nil, err
	}
	w := &write{
		store:    s,
		key:      key,
		hash:     key.Combined(),
		identity: key.AppendIdentity(nil),
		tag:      s.newTag(),
		replaces: opts.Replaces,
	}
	w.meta.Store(meta)
	w.file = bodyFile{
		store: s, hash: w.hash, tag: w.tag, sizeHint: opts.SizeHint,
		rest: int64(len(w.identity) + len(key.Compact().UserTag) + metaAreaFor(meta.MetaSize())),
	}
	w.buffer = stream.New(ctx, stream.Options{
		Backing:      &w.file,
		Window:       s.config.Window,
		StallTimeout: s.config.StallTimeout,
	})
	s.writes.add(w)
	return w, nil
}

func (w *write) Tag() cirque.Tag { return w.tag }

func (w *write) Readers() int { return w.buffer.Readers() }

func (w *write) Write(p []byte) (int, error) { return w.buffer.Write(p) }

func (w *write) Unlink() { w.buffer.Unlink() }

// NewReader implements [cirque.StreamingMissHandler]. After Finish it is a LookupStreaming.
func (w *write) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	if w.ended.Load() {
		_, hit, err := w.store.LookupStreaming(ctx, w.key, w.tag)
		return hit, err
	}
	return w.reader(ctx)
}

func (w *write) reader(ctx context.Context) (cirque.HitHandler, error) {
	r, err := w.buffer.NewReader(ctx)
	if err != nil {
		return nil, cirque.ErrNotFound
	}
	return &partialHit{Reader: r, write: w}, nil
}

// Finish implements [cirque.MissHandler].
func (w *write) Finish() (cirque.MissFinish, error) {
	if w.ended.Load() {
		return cirque.MissFinish{}, errEnded
	}
	defer w.end()
	err := w.buffer.Finish()
	switch {
	case err == nil:
		return w.commit()
	case errors.Is(err, cirque.ErrUnlinked) && w.file.failure != nil:
		err = w.file.failure
	}
	return cirque.MissFinish{}, err
}

// Abort implements [cirque.MissHandler].
func (w *write) Abort() {
	if !w.ended.Load() {
		w.buffer.Abort(nil)
		w.end()
	}
}

// end is the writer's last call.
func (w *write) end() {
	w.store.writes.remove(w)
	w.ended.Store(true)
	w.buffer.Close()
}

// updateMeta replaces the meta that the entry will have, and reports whether that is still
// possible.
func (w *write) updateMeta(meta *cirque.CacheMeta) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sealed || w.buffer.Unlinked() {
		return false
	}
	w.meta.Store(meta)
	return true
}

// partialHit reads a write under way, or one that was when the hit was made.
type partialHit struct {
	*stream.Reader
	write *write
}

var (
	_ cirque.HitHandler = (*partialHit)(nil)
	_ io.WriterTo       = (*partialHit)(nil)
)

func (h *partialHit) Tag() cirque.Tag { return h.write.tag }

// Weight returns what the entry would weigh if the body ended here.
func (h *partialHit) Weight() int64 {
	return weightOf(blocksOf(h.write.file.fileSize(h.write.buffer.Size())))
}

func (h *partialHit) CountsAccess() bool { return false }
