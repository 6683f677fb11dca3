package tiered

import (
	"context"
	"errors"
	"slices"

	"github.com/cirquecache/cirque"
)

var errEnded = errors.New("tiered: write has ended")

// write is a write to the lower Storage, and to the upper one while the body is small enough.
type write struct {
	tier     *tier
	ctx      context.Context
	key      cirque.CacheKey
	meta     *cirque.CacheMeta
	replaces replaced
	lower    cirque.MissHandler
	upper    cirque.MissHandler // nil if the upper Storage does not get the body
	upperTag cirque.Tag         // of the write to the upper Storage, even after that was given up
	size     int64
	failed   error // error of lower, which was then aborted; upper goes on alone
	ended    bool
}

// MissHandler implements [cirque.Storage].
func (t *tier) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	w, err := t.begin(ctx, key, meta, opts)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// begin begins a write to both Storages.
func (t *tier) begin(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (*write, error) {
	// The lower Storage does not get opts.Replaces: the entry to replace may be in the upper
	// Storage alone. The tier checks it at Finish.
	lower, err := t.lower.MissHandler(ctx, key, meta, cirque.MissOptions{SizeHint: opts.SizeHint})
	if err != nil {
		return nil, err
	}
	w := &write{tier: t, ctx: ctx, key: key, meta: meta, replaces: t.replaced(ctx, key, opts.Replaces), lower: lower}
	if opts.SizeHint <= t.config.MaxUpperBytes {
		w.beginUpper(opts.SizeHint)
	}
	t.stripe(key.PrimaryHash()).add(w)
	return w, nil
}

// beginUpper begins the write to the upper Storage, if possible.
func (w *write) beginUpper(sizeHint int64) {
	if sizeHint >= 0 {
		sizeHint += labelSize + weightSize
	}
	upper, err := w.tier.upper.MissHandler(w.ctx, w.key, w.meta, cirque.MissOptions{SizeHint: sizeHint})
	if err != nil {
		return
	}
	if _, err := upper.Write(label(w.Tag(), false)); err != nil {
		upper.Abort()
		return
	}
	w.upper, w.upperTag = upper, upper.Tag()
}

// replaced names the entry that a write is to replace.
type replaced struct {
	tag   cirque.Tag // in the tier; zero: there is none
	upper cirque.Tag // in the upper Storage; zero: it is not there
}

// replaced returns the entry with this tag. Call it before the write begins: a write under way
// would hide a copy in the upper Storage.
func (t *tier) replaced(ctx context.Context, key cirque.CacheKey, tag cirque.Tag) replaced {
	r := replaced{tag: tag}
	if tag == 0 {
		return r
	}
	if inPlace(ctx, t.upper, key, tag^t.mask) {
		r.upper = tag ^ t.mask
	} else if _, hit, err := t.lookupUpper(ctx, key); err == nil {
		if hit.Tag() == tag {
			r.upper = hit.HitHandler.Tag()
		}
		hit.Close()
	}
	return r
}

// gone reports whether r names an entry that neither Storage has any more.
func (t *tier) gone(ctx context.Context, key cirque.CacheKey, r replaced) bool {
	return r.tag != 0 && !inPlace(ctx, t.upper, key, r.upper) && !inPlace(ctx, t.lower, key, r.tag)
}

func (s *stripe) add(w *write) {
	s.writesMu.Lock()
	defer s.writesMu.Unlock()
	s.writes = append(s.writes, w)
	s.active.Add(1)
}

func (s *stripe) remove(w *write) {
	s.writesMu.Lock()
	defer s.writesMu.Unlock()
	if i := slices.Index(s.writes, w); i >= 0 {
		s.writes = slices.Delete(s.writes, i, i+1)
		s.active.Add(-1)
	}
}

func (w *write) Tag() cirque.Tag { return w.lower.Tag() }

func (w *write) Write(p []byte) (int, error) {
	if w.size += int64(len(p)); w.size > w.tier.config.MaxUpperBytes {
		w.giveUpUpper()
	}
	if w.upper != nil {
		if _, err := w.upper.Write(p); err != nil {
			w.giveUpUpper()
		}
	}
	if w.failed != nil && w.upper != nil {
		return len(p), nil
	}
	n, err := w.lower.Write(p)
	if err != nil && w.upper != nil && w.ctx.Err() == nil {
		w.lower.Abort()
		w.failed = err
		return len(p), nil
	}
	return n, err
}

// giveUpUpper aborts the write to the upper Storage.
func (w *write) giveUpUpper() {
	if w.upper != nil {
		w.upper.Abort()
		w.upper = nil
	}
}

// Finish implements [cirque.MissHandler]. It succeeds too if only the upper Storage could take the
// body.
func (w *write) Finish() (cirque.MissFinish, error) {
	if w.ended {
		return cirque.MissFinish{}, errEnded
	}
	defer w.end()
	s := w.tier.stripe(w.key.PrimaryHash())
	s.mu.Lock()
	done, above, err := w.commit(s)
	s.mu.Unlock()
	if above != nil {
		w.tier.admit(w.ctx, w.key, w.meta, *above)
	}
	return done, err
}

// commit finishes both writes. above is the result of the upper one, or nil if that is not stored.
// Called with the stripe locked.
func (w *write) commit(s *stripe) (done cirque.MissFinish, above *cirque.MissFinish, err error) {
	t, compact := w.tier, w.key.Compact()
	s.changes.Add(1)
	if t.gone(w.ctx, w.key, w.replaces) {
		// Store nothing, but let the readers get the rest of the body.
		if f, ok := w.lower.(cirque.StreamingMissHandler); ok {
			f.Unlink()
			_, _ = f.Finish()
		}
		w.lower.Abort()
		return done, nil, cirque.ErrNotFound
	}
	if err = w.failed; err == nil {
		done, err = w.lower.Finish()
	}
	if errors.Is(err, cirque.ErrNotFound) {
		return done, nil, err
	}
	if w.upper != nil {
		f, upperErr := w.finishUpper(done.Size)
		if upperErr == nil {
			above = &f
		}
	}
	switch {
	case err == nil && above == nil:
		t.dropUpper(w.ctx, compact)
	case err != nil && above != nil && t.clearLower(w.ctx, w.key):
		return *above, above, nil
	case err != nil:
		above = nil
	}
	return done, above, err
}

// finishUpper finishes the copy of an entry that has this weight in the lower Storage.
func (w *write) finishUpper(weight int64) (cirque.MissFinish, error) {
	if _, err := w.upper.Write(trailer(weight)); err != nil {
		return cirque.MissFinish{}, err
	}
	return w.upper.Finish()
}

// clearLower removes the entry of key from the lower Storage, because the upper one alone has a
// newer one. Otherwise the old entry would be found again when the new one leaves. It reports
// whether the old entry is gone; if not, it removes the new one too.
func (t *tier) clearLower(ctx context.Context, key cirque.CacheKey) bool {
	err := t.lower.Purge(context.WithoutCancel(ctx), key.Compact(), cirque.PurgeEviction)
	if err != nil && !errors.Is(err, cirque.ErrNotFound) {
		// The purge failed, but lookups may not find the entry all the same.
		var hit cirque.HitHandler
		if _, hit, err = t.lower.Lookup(ctx, key); err == nil {
			hit.Close()
		}
		if !errors.Is(err, cirque.ErrNotFound) {
			t.dropUpper(ctx, key.Compact())
			return false
		}
	}
	return true
}

// Abort implements [cirque.MissHandler].
func (w *write) Abort() {
	if !w.ended {
		w.lower.Abort()
		w.end()
	}
}

// end ends the write. It is the writer's last call.
func (w *write) end() {
	w.giveUpUpper() // does nothing after Finish
	w.tier.stripe(w.key.PrimaryHash()).remove(w)
	w.ended = true
}
