package diskcache

import (
	"context"
	"errors"
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

	voided    atomic.Bool // an invalidation came: w makes no entry
	overtaken bool        // an entry was put in place since w began; guarded by the registry's shard

	mu     sync.Mutex
	meta   atomic.Pointer[cirque.CacheMeta] // changes with mu held
	sealed bool                             // meta is in the file; guarded by mu
}

var _ cirque.StreamingMissHandler = (*write)(nil)

// MissHandler implements [cirque.Storage]. The handler is a [cirque.StreamingMissHandler]. It
// returns an error while the disk cannot be written to.
//
// If the disk fails during a write, the write becomes unlinked, and Finish returns the disk's
// error.
func (s *Store) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	if err := s.updates.err(); err != nil {
		s.updates.turned.Add(1)
		s.operations.Write.Failed()
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

// NewReader implements [cirque.StreamingMissHandler]. After Finish it is the same as
// LookupStreaming.
func (w *write) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	if w.ended.Load() {
		_, hit, err := w.store.LookupStreaming(ctx, w.key, w.tag)
		return hit, err
	}
	return w.reader(ctx)
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

// end ends the write. It is the writer's last call.
func (w *write) end() {
	w.store.writes.remove(w)
	w.ended.Store(true)
	if w.file.took > 0 {
		w.store.operations.Write.Took(w.file.took)
	}
	if w.file.failure != nil {
		w.store.operations.Write.Failed()
	}
	w.buffer.Close()
}
