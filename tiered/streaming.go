package tiered

import (
	"context"
	"errors"

	"github.com/cirquecache/cirque"
)

// streamingTier is a tier whose lower Storage streams.
type streamingTier struct {
	*tier
	lower cirque.StreamingStorage
}

var _ cirque.StreamingStorage = (*streamingTier)(nil)

// LookupStreaming implements [cirque.StreamingStorage].
func (t *streamingTier) LookupStreaming(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if tag == 0 {
		return nil, nil, cirque.ErrNotFound
	}
	if meta, hit, err := t.lookupUpper(ctx, key); err == nil {
		if hit.Tag() == tag && (!hit.underWay() || hit.alone) {
			return meta, hit, nil
		}
		hit.Close()
	}
	meta, hit, err := t.lower.LookupStreaming(ctx, key, tag)
	if err == nil {
		return meta, hit, nil
	}
	if meta, hit, upperErr := lookupTag(ctx, t.upper, key, tag^t.mask); upperErr == nil {
		if hit, upperErr := newUpperHit(hit); upperErr == nil {
			return meta, hit, nil
		}
	}
	return nil, nil, err
}

// MissHandler implements [cirque.Storage]. The handler is a [cirque.StreamingMissHandler].
func (t *streamingTier) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := t.begin(ctx, key, meta, opts)
	if err != nil {
		return t.beginAlone(ctx, key, meta, opts, err)
	}
	lower, ok := w.lower.(cirque.StreamingMissHandler)
	if !ok {
		w.Abort()
		return nil, errors.New("tiered: the lower Storage streams, but its write does not")
	}
	return &streamingWrite{write: w, lower: lower}, nil
}

// streamingWrite is a write whose readers read from the lower Storage.
type streamingWrite struct {
	*write
	lower cirque.StreamingMissHandler
}

func (w *streamingWrite) Readers() int { return w.lower.Readers() }

func (w *streamingWrite) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	return w.lower.NewReader(ctx)
}

func (w *streamingWrite) Unlink() {
	w.giveUpUpper()
	w.lower.Unlink()
}

// aloneWrite is a write to the upper Storage alone, because the lower one fails.
type aloneWrite struct {
	cirque.StreamingMissHandler
	tier     *tier
	ctx      context.Context
	key      cirque.CacheKey
	meta     *cirque.CacheMeta
	replaces replaced
	tag      cirque.Tag
	cause    error // the lower Storage's
	size     int64
}

// beginAlone begins a write to the upper Storage. It returns cause if that Storage does not stream
// or cannot take the write.
func (t *streamingTier) beginAlone(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions, cause error) (cirque.MissHandler, error) {
	if _, ok := t.upper.(cirque.StreamingStorage); !ok || opts.SizeHint > t.config.MaxUpperBytes {
		return nil, cause
	}
	w := &aloneWrite{
		tier: t.tier, ctx: ctx, key: key, meta: meta, cause: cause,
		replaces: t.replaced(ctx, key, opts.Replaces),
	}
	if opts.SizeHint >= 0 {
		opts.SizeHint += labelSize
	}
	upper, err := t.upper.MissHandler(ctx, key, meta, cirque.MissOptions{SizeHint: opts.SizeHint})
	if err != nil {
		return nil, cause
	}
	w.tag = upper.Tag() ^ t.mask
	_, err = upper.Write(label(w.tag, true))
	var ok bool
	if w.StreamingMissHandler, ok = upper.(cirque.StreamingMissHandler); !ok || err != nil {
		upper.Abort()
		return nil, cause
	}
	return w, nil
}

func (w *aloneWrite) Tag() cirque.Tag { return w.tag }

func (w *aloneWrite) Write(p []byte) (int, error) {
	if w.size += int64(len(p)); w.size > w.tier.config.MaxUpperBytes {
		w.Unlink()
	}
	return w.StreamingMissHandler.Write(p)
}

func (w *aloneWrite) NewReader(ctx context.Context) (cirque.HitHandler, error) {
	hit, err := w.StreamingMissHandler.NewReader(ctx)
	if err != nil {
		return nil, err
	}
	return newUpperHit(hit)
}

// Finish implements [cirque.MissHandler].
func (w *aloneWrite) Finish() (cirque.MissFinish, error) {
	done, err := w.commit()
	if err == nil {
		w.tier.admit(w.ctx, w.key, w.meta, done)
	}
	return done, err
}

// commit finishes the write and removes an older entry from the lower Storage.
func (w *aloneWrite) commit() (cirque.MissFinish, error) {
	s := w.tier.stripe(w.key.PrimaryHash())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes.Add(1)
	if w.tier.gone(w.ctx, w.key, w.replaces) {
		w.Unlink()
		_, _ = w.StreamingMissHandler.Finish()
		return cirque.MissFinish{}, cirque.ErrNotFound
	}
	done, err := w.StreamingMissHandler.Finish()
	if err == nil && !w.tier.clearLower(w.ctx, w.key) {
		return cirque.MissFinish{}, w.cause
	}
	return done, err
}
