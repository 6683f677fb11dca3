package cirque

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// A response that varies leaves two kinds of entry: in the resource's primary slot a vary record, which names the fields
// and the variants, and each variant in a slot of its own, whose key holds the record's epoch. When the record is
// purged, or replaced because Vary changed, the next one has another epoch and every older variant is out of
// reach at once, those under way included.

// NewVaryRecord returns a record of no variants for these fields (canonical and sorted), with an epoch of its own.
func NewVaryRecord(fields []string) *VaryRecord {
	return &VaryRecord{Epoch: rand.Uint64(), Fields: fields}
}

// variance returns the variance hash of a request with this header, and with extra's dimensions.
func (r *VaryRecord) variance(header http.Header, extra func(*VarianceBuilder)) HashBinary {
	b := VaryVariance(r.Fields, header, r.Epoch)
	if extra != nil {
		extra(b)
	}
	hash, _ := b.Finalize()
	return hash
}

func addsVariance(extra func(*VarianceBuilder)) bool {
	if extra == nil {
		return false
	}
	b := NewVarianceBuilder()
	extra(b)
	return b.HasVariance()
}

// recordLocks serialise the changes to vary records, many records to a lock. Reading a record takes none.
// They are held around Storage calls and are never taken inside one.
var recordLocks [64]sync.Mutex

func lockRecord(primary HashBinary) *sync.Mutex {
	lock := &recordLocks[primary[2]%byte(len(recordLocks))]
	lock.Lock()
	return lock
}

// publishRecord puts a new vary record into the primary slot. Not before the variant can be found: who sees
// the record looks for the variant next, and would fetch it a second time.
func (f *Fill) publishRecord() {
	if !f.newRecord {
		return
	}
	f.newRecord = false
	primary := f.key.WithVariance(HashBinary{})
	defer lockRecord(primary.PrimaryHash()).Unlock()
	meta := NewVaryMeta(f.record, time.Now())
	writer, err := f.opts.Storage.MissHandler(f.ctx, primary, meta, MissOptions{})
	if err != nil {
		return // the variant stays out of reach; the next request fetches it again
	}
	defer writer.Abort()
	if f.purgesSeen != f.opts.purges.of(primary.PrimaryHash()).Load() {
		return // purged since: the variant must not be found
	}
	done, err := writer.Finish()
	if err != nil || f.opts.Eviction == nil {
		return
	}
	f.opts.evict(f.ctx, f.trace, f.opts.Eviction.Admit(primary.Compact(), done.Size, meta.FreshUntil(), 0))
}

// registerVariant enters a stored variant in its vary record, if that is still the one.
func (f *Fill) registerVariant() {
	if f.record == nil {
		return
	}
	f.opts.changeRecord(f.ctx, f.key, f.record.Epoch, f.trace, VariantOf(f.key, f.meta))
}

// VariantOf describes the response stored under key for its vary record and for validation.
func VariantOf(key CacheKey, meta *CacheMeta) Variant {
	header := meta.Header()
	return Variant{
		Hash:            key.Variance(),
		ETag:            header.Get("Etag"),
		LastModified:    header.Get("Last-Modified"),
		ContentLanguage: header.Get("Content-Language"),
		Created:         meta.Created(),
	}
}

// changeRecord adds variant to the record of key's resource, or replaces the one with its hash. The variant that has to go
// for it, where there are too many, is purged.
func (o *CacheOptions) changeRecord(ctx context.Context, key CacheKey, epoch uint64, trace *CacheTrace, variant Variant) {
	ctx = context.WithoutCancel(ctx)
	primary := key.WithVariance(HashBinary{})
	lock := lockRecord(primary.PrimaryHash())
	dropped := o.rewriteRecord(ctx, primary, epoch, variant)
	lock.Unlock()
	if dropped != nil {
		key := primary.WithVariance(dropped.Hash).Compact()
		if o.Eviction != nil {
			o.Eviction.Remove(key)
		}
		o.evict(ctx, trace, []CompactCacheKey{key})
	}
}

func (o *CacheOptions) rewriteRecord(ctx context.Context, primary CacheKey, epoch uint64, variant Variant) (dropped *Variant) {
	old, hit, err := o.Storage.Lookup(ctx, primary)
	if err != nil {
		return nil
	}
	defer hit.Close()
	record, ok := old.VaryRecord()
	if !ok || record.Epoch != epoch {
		return nil
	}
	if known, ok := record.Lookup(variant.Hash); ok && known == variant {
		return nil
	}
	record, dropped = record.With(variant)
	meta := NewVaryMeta(record, old.Created())
	if err := o.Storage.UpdateMeta(ctx, primary, meta, hit.Tag()); err != nil {
		return nil
	}
	if o.Eviction != nil {
		grown := int64(meta.MetaSize() - old.MetaSize())
		o.evict(ctx, nil, o.Eviction.IncrementWeight(primary.Compact(), grown, 0))
	}
	return dropped
}
