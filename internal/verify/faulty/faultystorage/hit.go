package faultystorage

import (
	"context"
	"io"

	"github.com/cirquecache/cirque"
)

// hit wraps a HitHandler; it embeds the methods that cannot fail.
type hit struct {
	cirque.HitHandler
	ctx   context.Context // of the Lookup; it also ends waiting reads
	tally *Tally
}

// wrapHit wraps base. It returns nil if base is nil, as after a lookup without a hit.
func (t *Tally) wrapHit(ctx context.Context, base cirque.HitHandler, key cirque.CacheKey) cirque.HitHandler {
	if base == nil {
		return nil
	}
	h := &hit{base, ctx, t}
	t.opened(h, "hit on "+key.Primary())
	if to, ok := base.(io.WriterTo); ok {
		return &hitTo{h, to}
	}
	return h
}

func (h *hit) Read(p []byte) (int, error) {
	fault, err := h.tally.strike(h.ctx, HitRead)
	if err == nil {
		return h.HitHandler.Read(p)
	}
	n := 0
	if fault.Partial > 0 {
		n, _ = h.HitHandler.Read(p[:min(fault.Partial, len(p))])
	}
	return n, err
}

func (h *hit) SeekRange(start, end int64) error {
	if _, err := h.tally.strike(h.ctx, HitSeekRange); err != nil {
		return err
	}
	return h.HitHandler.SeekRange(start, end)
}

// Close always closes the wrapped hit, so that only a caller that never calls Close leaks it.
func (h *hit) Close() (err error) {
	h.tally.done(h)
	defer func() {
		if closing := h.HitHandler.Close(); err == nil {
			err = closing
		}
	}()
	_, err = h.tally.strike(h.ctx, HitClose)
	return err
}

// hitTo is a hit that implements io.WriterTo.
type hitTo struct {
	*hit
	to io.WriterTo
}

func (h *hitTo) WriteTo(w io.Writer) (int64, error) {
	fault, err := h.tally.strike(h.ctx, HitWriteTo)
	if err == nil {
		return h.to.WriteTo(w)
	}
	n, _ := io.CopyN(w, h.HitHandler, int64(fault.Partial))
	return n, err
}
