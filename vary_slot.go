package cirque

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// A response that varies leaves two kinds of entry: in the resource's primary slot a vary record,
// which names the fields and the variants, and each variant in a slot of its own, whose key holds
// the record's epoch. When the record is purged, or replaced because Vary changed, the next one has
// another epoch and every older variant is out of reach at once, those under way included.

// UpdateVariance says which request fields the response to be stored varies by (its Vary, canonical
// and sorted; none where it doesn't vary) and with what request header it was fetched; extra, if
// not nil, adds the caller's own dimensions. The key becomes the variant's. If the resource's vary
// record names the same fields it is kept, and with it the other variants; otherwise the fill
// starts a new one, which voids them. Where the walk has not come by a record, the Storage is asked
// for it under ctx.
//
// A record of several resources ([VarianceBuilder.AddResource]), whose responses vary by different
// fields, has the fields of all: otherwise each would void the others' variants.
func (c *HttpCache) UpdateVariance(
	ctx context.Context, fields []string, header http.Header, extra func(*VarianceBuilder),
) {
	c.require(opUpdateVariance)
	varies, resources := addsVariance(extra)
	record := c.varyRecord()
	if record == nil && (len(fields) > 0 || varies) {
		record = c.currentRecord(ctx)
	}
	if resources || record.OfResources() {
		fields = record.fieldsOfResources(fields)
	}
	var variance HashBinary
	if len(fields) == 0 && !varies && (record == nil || len(record.Fields) > 0) {
		c.voided = record
		c.setVaryRecord(nil)
		c.newRecord = false
	} else {
		// A record without fields has variants by extra alone, one of which may be that without any
		// dimension.
		if record == nil || !slices.Equal(record.Fields, fields) {
			c.voided = record
			record, c.newRecord = newVaryRecord(fields), true
		}
		c.setVaryRecord(record)
		variance = varyHash(record.Fields, header, record.Epoch, extra)
	}
	c.key = c.key.WithVariance(variance)
	if variance != c.meta.Variance() {
		c.meta = c.meta.Clone()
		c.meta.SetVariance(variance)
	}
}

// currentRecord returns the vary record in the primary slot, or nil. The lookup has not found one
// if it was skipped, or another request has stored the first variant since.
func (c *HttpCache) currentRecord(ctx context.Context) *VaryRecord {
	primary := c.key.WithVariance(HashBinary{})
	meta, hit, err := c.find(ctx, &primary)
	if err != nil {
		return nil
	}
	defer hit.Close()
	record, _ := meta.VaryRecord()
	return record
}

// newVaryRecord returns a record of no variants for these fields (canonical and sorted), with an
// epoch of its own.
func newVaryRecord(fields []string) *VaryRecord {
	return &VaryRecord{Epoch: rand.Uint64(), Fields: fields}
}

// VariantOf describes the response stored under key for its vary record and for validation.
func VariantOf(key CacheKey, meta *CacheMeta) Variant {
	header := meta.Header()
	return Variant{
		Hash:         key.Variance(),
		ETag:         header.Get("Etag"),
		LastModified: header.Get("Last-Modified"),
		Created:      meta.Created(),
	}
}

// enterVariant enters the response with this meta in its vary record, and puts that into the
// primary slot if it isn't there. Not before the variant can be found: who sees the record looks
// for the variant next, and would fetch it a second time. But before it is served, so that a purge
// finds it. ErrPurged means that the record is gone, or that another has taken its place;
// ErrSuperseded, that what has taken it is more recent.
//
// INVARIANT: a record lists all variants of its epoch that can be found. So one that has left the
// Storage is not brought back as it was found: others may have entered theirs since.
func (s *slot) enterVariant(ctx context.Context, meta *CacheMeta) error {
	found := s.varyRecord()
	if found == nil {
		return nil
	}
	if err := s.state.inFlight.lock(ctx, s.key.primaryHash); err != nil {
		return err
	}
	defer s.state.inFlight.unlock(s.key.primaryHash)
	ctx = context.WithoutCancel(ctx)
	variant, primary := VariantOf(s.key, meta).bounded(), s.key.WithVariance(HashBinary{})
	old, hit, err := s.opts.Storage.Lookup(ctx, primary)
	if err == nil {
		defer hit.Close()
		record, ok := old.VaryRecord()
		if ok && record.Epoch == found.Epoch {
			return s.updateRecord(ctx, primary, record, variant, meta, old, hit.Tag())
		}
		if s.newerThan(meta, old) || s.newerThan(meta, s.state.inFlight.outranks(&primary)) {
			return ErrSuperseded
		}
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	if !s.newRecord {
		return ErrPurged
	}
	record, _ := found.with(variant)
	return s.putRecord(ctx, primary, record, meta)
}

// updateRecord replaces the variant's description in a record that is in place.
func (s *slot) updateRecord(
	ctx context.Context, primary CacheKey, record *VaryRecord, variant Variant, meta, old *CacheMeta, tag Tag,
) error {
	if known, ok := record.lookup(variant.Hash); ok && known == variant {
		return nil
	}
	record, dropped := record.with(variant)
	updated := newVaryMeta(record, old.Created())
	if updated.orderAs(old); moreRecent(meta, old, time.Now()) {
		updated.orderAs(meta)
	}
	updated.purgeEpoch = max(old.purgeEpoch, meta.purgeEpoch)
	err := s.opts.updateMeta(ctx, s.trace, primary, old, updated, tag)
	if errors.Is(err, ErrNotFound) {
		if _, hit, err := s.opts.Storage.Lookup(ctx, primary); err == nil {
			_ = hit.Close()
			return ErrPurged // a response that varies no more has taken its place
		}
		// It was evicted just now, perhaps for its own growth. No variant was entered since: the
		// lock is ours.
		err = s.putRecord(ctx, primary, record, meta)
	}
	if err == nil {
		s.evictVariant(ctx, dropped)
	}
	return err
}

// putRecord puts a record into the primary slot, unless that was purged since the walk began.
// response is the meta of the variant that it is put there for.
func (s *slot) putRecord(ctx context.Context, primary CacheKey, record *VaryRecord, response *CacheMeta) error {
	var pending pendingWrite
	s.state.inFlight.enter(primary, &pending)
	defer s.state.inFlight.leave(primary, &pending)
	meta := newVaryMeta(record, time.Now())
	meta.orderAs(response)
	if s.purged(meta) {
		return ErrPurged
	}
	writer, err := s.opts.Storage.MissHandler(ctx, primary, meta, MissOptions{})
	if err != nil {
		return err
	}
	defer writer.Abort()
	if s.state.inFlight.begun(&pending, writer.Tag()); pending.void {
		return ErrPurged
	}
	done, err := writer.Finish()
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrPurged
	case err != nil:
		return err
	}
	if s.opts.Eviction != nil {
		evicted := s.opts.Eviction.Admit(primary.Compact(), done.Size, meta.FreshUntil(), 0)
		s.opts.evict(ctx, s.trace, evicted)
	}
	return nil
}

// evictVariant drops the variant that was one too many, if there was one, and voids it where it is
// on its way.
func (s *slot) evictVariant(ctx context.Context, dropped *Variant) {
	if dropped == nil {
		return
	}
	key := s.key.WithVariance(dropped.Hash)
	err := s.opts.drop(ctx, key, PurgeInvalidation)
	s.trace.evicted(key.Compact(), err)
}

// evictVoided drops the variants that the fill put out of reach, which gives their room back.
func (s *slot) evictVoided(ctx context.Context) {
	if s.voided == nil {
		return
	}
	for _, v := range s.voided.Variants {
		s.evictVariant(ctx, &v)
	}
}
