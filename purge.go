package cirque

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// purgeLog remembers the purges of late, so that a fetch can tell at its end whether its key was purged since it began.
//
// INVARIANT: a purge is noted before it reaches the Storage. A fill looks after its MissHandler is open and its variant
// is in the vary record; from there on the purge finds the fill in the Storage and voids it.
type purgeLog struct {
	mu     sync.Mutex
	noted  atomic.Uint64          // how many purges there have been
	recent [1 << 14]atomic.Uint64 // whose, the nth at n modulo the length

	// counts tell who came before a purge of the key from who came after it: many keys to a counter, which
	// is good enough for telling locks apart.
	counts [1 << 12]atomic.Uint32
}

// purgeMark is a point in a purgeLog, as a walk saw it.
type purgeMark struct {
	noted uint64
	count uint32
}

func (l *purgeLog) count(primary HashBinary) *atomic.Uint32 {
	return &l.counts[(uint(primary[0])|uint(primary[1])<<8)%uint(len(l.counts))]
}

// note enters a purge of key.
func (l *purgeLog) note(key CacheKey) {
	primary := key.PrimaryHash()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count(primary).Add(1)
	n := l.noted.Load() + 1
	l.recent[n%uint64(len(l.recent))].Store(binary.LittleEndian.Uint64(primary[:]))
	l.noted.Store(n)
}

// mark returns the present point.
func (l *purgeLog) mark(key CacheKey) purgeMark {
	return purgeMark{l.noted.Load(), l.count(key.PrimaryHash()).Load()}
}

// purgedSince reports whether key was purged after m. It says so too where more purges came after m than are remembered.
func (l *purgeLog) purgedSince(key CacheKey, m purgeMark) bool {
	now := l.noted.Load()
	if now == m.noted {
		return false
	}
	primary := key.PrimaryHash()
	mine := binary.LittleEndian.Uint64(primary[:])
	for n := m.noted + 1; n <= now && now-m.noted <= uint64(len(l.recent)); n++ {
		if l.recent[n%uint64(len(l.recent))].Load() == mine {
			return true
		}
	}
	// What was overwritten while it was read was read in vain. The one being written now is counted in.
	return l.noted.Load()-m.noted >= uint64(len(l.recent))
}

// Purge removes the response of the key, all of its variants, and voids what is on its way into the Storage: what was
// fetched before the purge is not served after it. It returns ErrNotFound if nothing was stored.
func (c *HttpCache) Purge(ctx context.Context) error {
	c.require(opPurge)
	return c.opts.purge(ctx, c.trace, c.key)
}

// PurgeInBackground starts Purge and does not wait for it, nor does it end with ctx. report, if not nil, is called with
// the result.
func (c *HttpCache) PurgeInBackground(ctx context.Context, report func(error)) {
	c.require(opPurgeInBackground)
	opts, trace, key := c.opts, c.trace, c.key
	go func() {
		err := errors.New("cirque: panic in a purge") // unless it is replaced
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("%w: %v", err, p)
			}
			if report != nil {
				report(err)
			}
		}()
		err = opts.purge(context.WithoutCancel(ctx), trace, key)
	}()
}

// Purge removes the response of key and all of its variants, and voids what is on its way into the Storage. It returns
// ErrNotFound if nothing was stored. It may be called from any goroutine. The trace that ctx has sees it.
func (o *CacheOptions) Purge(ctx context.Context, key CacheKey) error {
	return o.purge(ctx, ContextCacheTrace(ctx), key)
}

func (o *CacheOptions) purge(ctx context.Context, trace *CacheTrace, key CacheKey) error {
	start := time.Now()
	key = key.WithVariance(HashBinary{})
	// First the log: from here on nothing fetched before can be stored.
	o.purges.note(key)
	record, _ := o.storedRecord(ctx, key)
	err := o.drop(ctx, key)
	if record != nil {
		// The variants are out of reach already; this gives their room back.
		for _, v := range record.Variants {
			if failed := o.drop(ctx, key.WithVariance(v.Hash)); failed != nil && !errors.Is(failed, ErrNotFound) {
				err = failed
			}
		}
	}
	trace.purged(key, time.Since(start), err)
	return err
}

// drop removes what is in key's slot, and voids what is on its way there.
func (o *CacheOptions) drop(ctx context.Context, key CacheKey) error {
	if o.Eviction != nil {
		o.Eviction.Remove(key.Compact())
	}
	return o.Storage.Purge(context.WithoutCancel(ctx), key.Compact(), PurgeInvalidation)
}

// storedRecord returns the vary record in key's primary slot. Where a response is there, it is nil.
func (o *CacheOptions) storedRecord(ctx context.Context, key CacheKey) (*VaryRecord, error) {
	meta, hit, err := o.Storage.Lookup(ctx, key.WithVariance(HashBinary{}))
	if err != nil {
		return nil, err
	}
	defer hit.Close()
	record, _ := meta.VaryRecord()
	return record, nil
}

// MarkStale makes the response of key and all of its variants stale at now, so that they are validated before they are
// used again: a soft purge, which spares the origin from sending everything anew. What is on its way into the Storage
// arrives there stale, or not at all. It returns ErrNotFound if nothing was stored.
func (o *CacheOptions) MarkStale(ctx context.Context, key CacheKey, now time.Time) error {
	key = key.WithVariance(HashBinary{})
	o.purges.note(key)
	record, err := o.storedRecord(ctx, key)
	switch {
	case err != nil:
		return err
	case record == nil:
		return o.markSlotStale(ctx, key, now)
	}
	result := ErrNotFound
	for _, v := range record.Variants {
		switch err := o.markSlotStale(ctx, key.WithVariance(v.Hash), now); {
		case err == nil && result == ErrNotFound:
			result = nil
		case err != nil && !errors.Is(err, ErrNotFound):
			result = err
		}
	}
	return result
}

func (o *CacheOptions) markSlotStale(ctx context.Context, key CacheKey, now time.Time) error {
	meta, hit, err := o.Storage.Lookup(ctx, key)
	if err != nil {
		return err
	}
	defer hit.Close()
	err = o.outdate(ctx, key, meta, hit.Tag(), now)
	if errors.Is(err, ErrNotFound) && !hit.CountsAccess() {
		// INVARIANT: nobody who asks after the purge reads, as fresh, a write that was under way before it. Its meta
		// cannot be replaced, so it is voided; those who read it already go on.
		return o.drop(ctx, key)
	}
	return err
}

// outdate makes the entry with that tag stale at now.
func (o *CacheOptions) outdate(ctx context.Context, key CacheKey, meta *CacheMeta, tag Tag, now time.Time) error {
	if !meta.IsFresh(now) {
		return nil
	}
	stale := meta.Clone()
	stale.SetFreshUntil(now)
	return o.Storage.UpdateMeta(ctx, key, stale, tag)
}

// heedPurges makes stale what has just been stored, if a purge of the key began since it was looked up: MarkStale may
// have come when there was nothing to be found yet.
func (s *slot) heedPurges(ctx context.Context, meta *CacheMeta, tag Tag) {
	if !s.purged() {
		return
	}
	err := s.opts.outdate(context.WithoutCancel(ctx), s.key, meta, tag, time.Now())
	if err != nil && !errors.Is(err, ErrNotFound) {
		_ = s.opts.drop(ctx, s.key)
	}
}
