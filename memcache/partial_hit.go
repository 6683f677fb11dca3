package memcache

import (
	"context"
	"io"
	"io/fs"
	"runtime"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// partialHit reads a write that was under way when the hit was made.
type partialHit struct {
	reader  *stream.Reader
	write   *write
	guard   guard
	cleanup runtime.Cleanup // of a hit that is never closed
}

var (
	_ cirque.HitHandler = (*partialHit)(nil)
	_ io.WriterTo       = (*partialHit)(nil)
)

// newReader attaches a reader to a write that has not ended. Called with the shard's lock held.
func (w *write) newReader(ctx context.Context) (cirque.HitHandler, error) {
	r, err := w.buffer.NewReader(ctx)
	if err != nil {
		return nil, cirque.ErrNotFound
	}
	w.refs.Add(1)
	h := &partialHit{reader: r, write: w}
	h.cleanup = runtime.AddCleanup(h, forgottenReader.end, forgottenReader{r, w})
	return h, nil
}

// forgottenReader is what a partialHit that was not closed has left.
type forgottenReader struct {
	reader *stream.Reader
	write  *write
}

func (f forgottenReader) end() {
	f.write.cache.forgotten.report()
	_ = f.reader.Close() // never fails
	f.write.release()
}

func (h *partialHit) exit() {
	if h.guard.exit() {
		h.letGo()
	}
}

func (h *partialHit) letGo() {
	h.cleanup.Stop()
	h.write.release()
}

func (h *partialHit) Read(p []byte) (int, error) {
	if !h.guard.enter() {
		return 0, fs.ErrClosed
	}
	defer h.exit()
	return h.reader.Read(p)
}

// WriteTo implements io.WriterTo: w gets the stored bytes themselves, for the duration of each
// Write.
func (h *partialHit) WriteTo(w io.Writer) (int64, error) {
	if !h.guard.enter() {
		return 0, fs.ErrClosed
	}
	defer h.exit()
	n, err := h.reader.WriteTo(w)
	mustNotFault(err)
	return n, err
}

func (h *partialHit) Size() (n int64, known bool) { return h.reader.Size() }

func (h *partialHit) CanSeek() bool { return h.reader.CanSeek() }

func (h *partialHit) SeekRange(start, end int64) error { return h.reader.SeekRange(start, end) }

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
	last := h.guard.close()
	_ = h.reader.Close() // never fails
	if last {
		h.letGo()
	}
	return nil
}

// release gives up one reference to the write.
func (w *write) release() {
	if w.refs.Add(-1) > 0 {
		return
	}
	w.cache.budget.end(w.overhead)
	if w.body != nil {
		w.body.letGo()
	}
}
