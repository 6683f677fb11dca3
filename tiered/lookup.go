package tiered

import (
	"context"
	"io"

	"github.com/cirquecache/cirque"
)

// Lookup implements [cirque.Storage]. If the upper Storage cannot answer, for whatever reason, the
// lower one is asked.
func (t *tier) Lookup(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, cirque.HitHandler, error) {
	s := t.stripe(key.PrimaryHash())
	underWay := s.writesFor(&key)
	if !underWay {
		meta, hit, err := t.lookupUpper(ctx, key)
		switch {
		case err != nil:
		case !hit.underWay():
			if t.config.UpperEviction != nil {
				t.config.UpperEviction.Access(key.Compact(), hit.Weight(), meta.FreshUntil())
			}
			return meta, hit, nil
		case hit.alone:
			return meta, hit, nil
		default: // another request is copying the entry to the upper Storage
			hit.Close()
			underWay = true
		}
	}
	changes := s.changes.Load()
	meta, hit, err := t.lower.Lookup(ctx, key)
	if err != nil || underWay || !hit.CountsAccess() || !hit.CanSeek() {
		return meta, hit, err
	}
	if n, known := hit.Size(); known && n <= t.config.MaxUpperBytes {
		if err := t.copyUp(ctx, key, meta, hit, changes); err != nil {
			hit.Close()
			return nil, nil, err
		}
	}
	return meta, hit, nil
}

// lookupUpper looks key up in the upper Storage.
func (t *tier) lookupUpper(ctx context.Context, key cirque.CacheKey) (*cirque.CacheMeta, *upperHit, error) {
	meta, hit, err := t.upper.Lookup(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	h, err := newUpperHit(hit)
	return meta, h, err
}

// copyUp copies the body that hit reads to the upper Storage, unless stripe.changes differs from
// changes by then. An error means that hit could not be read. A copy that fails for another reason
// does no harm.
func (t *tier) copyUp(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, hit cirque.HitHandler, changes uint64) error {
	n, _ := hit.Size()
	w, err := t.upper.MissHandler(ctx, key, meta, cirque.MissOptions{SizeHint: labelSize + n + weightSize})
	if err != nil {
		return nil
	}
	defer w.Abort()
	to := &copyWriter{w: w}
	_, _ = to.Write(label(hit.Tag(), false))
	if _, err := io.Copy(to, hit); err != nil {
		return err
	}
	_, _ = to.Write(trailer(hit.Weight()))
	if to.err == nil {
		t.finishCopy(ctx, key, meta, w, changes)
	}
	return hit.SeekRange(0, n)
}

// copyWriter writes to w until that fails, and keeps the error. Its own Write never fails, so an
// error of io.Copy comes from reading.
type copyWriter struct {
	w   io.Writer
	err error
}

func (c *copyWriter) Write(p []byte) (int, error) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
	}
	return len(p), nil
}

// finishCopy finishes w, a copy, unless stripe.changes differs from changes.
func (t *tier) finishCopy(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, w cirque.MissHandler, changes uint64) {
	s := t.stripe(key.PrimaryHash())
	s.mu.Lock()
	if s.changes.Load() != changes {
		s.mu.Unlock()
		return
	}
	done, err := w.Finish()
	s.mu.Unlock()
	if err == nil {
		t.admit(ctx, key, meta, done)
	}
}

// admit tells the upper manager of a new entry.
func (t *tier) admit(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, done cirque.MissFinish) {
	if t.config.UpperEviction != nil {
		t.evict(ctx, t.config.UpperEviction.Admit(key.Compact(), done.Size, meta.FreshUntil(), 0))
	}
}

// lookupTag finds the write or entry with this tag in one of the Storages. If that Storage does not
// stream, it finds only the entry in place.
func lookupTag(ctx context.Context, storage cirque.Storage, key cirque.CacheKey, tag cirque.Tag) (*cirque.CacheMeta, cirque.HitHandler, error) {
	if storage, ok := storage.(cirque.StreamingStorage); ok {
		return storage.LookupStreaming(ctx, key, tag)
	}
	meta, hit, err := storage.Lookup(ctx, key)
	if err == nil && hit.Tag() != tag {
		hit.Close()
		return nil, nil, cirque.ErrNotFound
	}
	return meta, hit, err
}

// inPlace reports whether storage has the entry with this tag in place.
func inPlace(ctx context.Context, storage cirque.Storage, key cirque.CacheKey, tag cirque.Tag) bool {
	if tag == 0 {
		return false
	}
	_, hit, err := lookupTag(ctx, storage, key, tag)
	if err != nil {
		return false
	}
	defer hit.Close()
	return hit.CountsAccess()
}
