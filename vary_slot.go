package cirque

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"
)

// A response that varies makes two entries. The vary record, in the resource's primary slot, names
// the fields and the variants. The variant is in a slot of its own, whose hash includes the
// record's epoch. When the record is purged, or replaced because Vary changed, the next record has
// another epoch. Then every older variant is out of reach at once, those being written included.

// UpdateVariance says what the response that will be stored varies by: fields are the request
// fields that its Vary names (canonical, sorted, each once; rules.VaryFields returns them so),
// header is the request header that it was fetched with, and extra, if not nil, adds the caller's
// own dimensions. The key becomes the variant's. If the resource's vary record names the same
// fields, it is kept with its other variants. Otherwise the fill starts a new record, which voids
// them. If the walk has not found a record, the Storage is asked for it with ctx.
//
// The responses of several resources that share a key ([VarianceBuilder.AddResource]) may vary by
// different fields. Their record has the fields of all; otherwise each would void the others'
// variants.
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
		// A record without fields has variants only by extra. One of them may have no dimension.
		if record == nil || !slices.Equal(record.Fields, fields) {
			c.voided = record
			record, c.newRecord = newVaryRecord(fields), true
		}
		c.setVaryRecord(record)
		variance = varyHash(record.Fields, header, record.epoch, extra)
	}
	c.key = c.key.WithVariance(variance)
	if variance != c.meta.Variance() {
		c.meta = c.meta.Clone()
		c.meta.SetVariance(variance)
	}
}

// currentRecord returns the vary record in the primary slot, or nil. The walk may not know it
// because the lookup was skipped, or because another request has stored the first variant since.
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
	return &VaryRecord{epoch: rand.Uint64(), Fields: fields}
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

// enterVariant enters the response with this meta in its vary record, and stores the record in the
// primary slot if it is not there. It must be called once the variant can be found: a request that
// sees the record looks for the variant next, and would fetch it again. It must be called before
// the variant is served to others, so that a purge finds it. ErrPurged means that the record is
// gone, or that another has replaced it; ErrSuperseded, that the one that has replaced it is more
// recent.
//
// INVARIANT: A record lists all variants of its epoch that can be found. So a record that has left
// the Storage is not stored again as it was found, because other variants may have been entered
// since.
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
		if ok && record.epoch == found.epoch {
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

// updateRecord replaces the description of the variant in a record that is in place.
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
			return ErrPurged // a response that does not vary has replaced the record
		}
		// The record was evicted just now, perhaps because it grew. No variant was entered since,
		// because we hold the lock.
		err = s.putRecord(ctx, primary, record, meta)
	}
	if err == nil {
		s.evictVariant(ctx, dropped)
	}
	return err
}

// putRecord stores a record in the primary slot, unless the key was purged since the walk began.
// response is the meta of the variant that is entered.
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

// evictVariant removes the variant that was one too many, if there was one, and voids writes of it.
func (s *slot) evictVariant(ctx context.Context, dropped *Variant) {
	if dropped == nil {
		return
	}
	key := s.key.WithVariance(dropped.Hash)
	err := s.opts.drop(ctx, key, PurgeInvalidation)
	s.trace.evicted(key.Compact(), err)
}

// evictVoided removes the variants that the fill has put out of reach, to free their room.
func (s *slot) evictVoided(ctx context.Context) {
	if s.voided == nil {
		return
	}
	for _, v := range s.voided.Variants {
		s.evictVariant(ctx, &v)
	}
}
