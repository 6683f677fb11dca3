package memcache

import (
	"context"
	"io"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// partialHit reads a write that was under way when the hit was made.
type partialHit struct {
	*stream.Reader
	write  *write
	closed bool
}

var (
	_ cirque.HitHandler = (*partialHit)(nil)
	_ io.WriterTo       = (*partialHit)(nil)
)

func (h *partialHit) Tag() cirque.Tag { return h.write.tag }

// Weight returns what the entry would weigh if the body ended here.
func (h *partialHit) Weight() int64 {
	h.write.shard.mu.RLock()
	defer h.write.shard.mu.RUnlock()
	return h.write.overhead + h.write.buffer.Size()
}

func (h *partialHit) CountsAccess() bool { return false }

// Close detaches the reader. Closing again does nothing.
func (h *partialHit) Close() error {
	if !h.closed {
		h.closed = true
		_ = h.Reader.Close() // never fails
		h.write.release()
	}
	return nil
}

// newReader attaches a reader to a write that has not ended. Called with the shard's lock held.
func (w *write) newReader(ctx context.Context) (cirque.HitHandler, error) {
	r, err := w.buffer.NewReader(ctx)
	if err != nil {
		return nil, cirque.ErrNotFound
	}
	w.refs.Add(1)
	return &partialHit{Reader: r, write: w}, nil
}

// release gives up one reference to the write.
func (w *write) release() {
	if w.refs.Add(-1) > 0 {
		return
	}
	w.cache.budget.end(w.overhead)
	if w.body != nil {
		if w.stored {
			w.body.letGo()
		}
		w.body.release(w.cache.budget)
	}
}
