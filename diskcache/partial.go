package diskcache

import (
	"context"
	"io"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/stream"
)

// reader returns a hit on w that reads from the start and follows the writer.
func (w *write) reader(ctx context.Context) (cirque.HitHandler, error) {
	r, err := w.buffer.NewReader(ctx)
	if err != nil {
		return nil, cirque.ErrNotFound
	}
	return &partialHit{Reader: r, write: w}, nil
}

// partialHit is a hit on a write that was under way when the hit was made.
type partialHit struct {
	*stream.Reader
	write *write
}

var (
	_ cirque.HitHandler = (*partialHit)(nil)
	_ io.WriterTo       = (*partialHit)(nil)
)

func (h *partialHit) Tag() cirque.Tag { return h.write.tag }

// Weight returns what the entry would weigh if the body ended now.
func (h *partialHit) Weight() int64 {
	return weightOf(blocksOf(fileSize(h.write.buffer.Size(), h.write.file.rest)))
}

func (h *partialHit) CountsAccess() bool { return false }
