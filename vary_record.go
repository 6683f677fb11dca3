package cirque

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// maxVariants is how many variants of one resource are stored.
const maxVariants = 64

// VaryRecord describes the stored variants of a resource whose responses vary (RFC 9111 §4.1). It
// is stored in the resource's primary slot instead of a response. A VaryRecord and its slices must
// not be changed once they are shared.
type VaryRecord struct {
	// Fields are the request fields that Vary names: canonical, sorted, each once. See OfResources.
	Fields []string
	// Variants are the stored variants, at most 64, the newest last.
	Variants []Variant
	// epoch is part of every variant's hash. So a record with another epoch reaches none of them.
	epoch uint64
}

// Variant is what a VaryRecord knows about one stored response. It holds the validators of the
// response, so that those of all variants can go into one conditional request.
type Variant struct {
	Hash               HashBinary
	ETag, LastModified string
	Created            time.Time
}

// resourcesMark is among the fields of a record whose variants belong to several resources. No
// field has this name (RFC 9110 §5.6.2), so no request has a value there.
const resourcesMark = ":resources"

// OfResources reports whether the variants belong to several resources that share a key
// ([VarianceBuilder.AddResource]). Then only the variant that a request selects by its own
// dimensions may be validated for it. For a nil record it is false.
func (r *VaryRecord) OfResources() bool { return r != nil && slices.Contains(r.Fields, resourcesMark) }

// fieldsOfResources returns the fields for a record of several resources, after a response of one
// of them varied by fields. If r is such a record, its fields are included, unless that makes more
// than maxVaryFields, which each lookup would have to go through. r may be nil.
func (r *VaryRecord) fieldsOfResources(fields []string) []string {
	own := append(slices.Clone(fields), resourcesMark)
	slices.Sort(own)
	if !r.OfResources() {
		return own
	}
	all := append(slices.Clone(own), r.Fields...)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) > maxVaryFields+1 { // with the mark
		return own
	}
	return all
}

// Variance returns the variance hash of a request with this header: the hash of the variant that
// the request selects (RFC 9111 §4.1). extra, if not nil, adds the caller's own dimensions. For a
// nil record only these count; if there are none, the hash is zero.
func (r *VaryRecord) Variance(header http.Header, extra func(*VarianceBuilder)) HashBinary {
	if r != nil {
		return varyHash(r.Fields, header, r.epoch, extra)
	}
	if extra == nil {
		return HashBinary{}
	}
	b := new(VarianceBuilder)
	extra(b)
	hash, _ := b.Finalize()
	return hash
}

// The validators in a record are bounded, because a record is read and written as a whole. A
// variant with longer ones is validated only for requests that select it, not together with others.
const (
	maxVariantTag  = 256
	maxVariantDate = 64
)

// bounded returns v without the validators that are too long for a record.
func (v Variant) bounded() Variant {
	drop := func(s *string, limit int) {
		if len(*s) > limit {
			*s = ""
		}
	}
	drop(&v.ETag, maxVariantTag)
	drop(&v.LastModified, maxVariantDate)
	return v
}

// lookup returns the variant with this hash.
func (r *VaryRecord) lookup(hash HashBinary) (v Variant, ok bool) {
	i := r.index(hash)
	if i < 0 {
		return Variant{}, false
	}
	return r.Variants[i], true
}

func (r *VaryRecord) index(hash HashBinary) int {
	return slices.IndexFunc(r.Variants, func(v Variant) bool { return v.Hash == hash })
}

// with returns a copy of r with v as the newest variant. A variant with the same hash is replaced.
// Otherwise, if there are too many, the oldest is left out and returned.
func (r *VaryRecord) with(v Variant) (with *VaryRecord, dropped *Variant) {
	with = &VaryRecord{epoch: r.epoch, Fields: r.Fields}
	old := r.Variants
	if i := r.index(v.Hash); i >= 0 {
		old = slices.Concat(old[:i], old[i+1:])
	} else if len(old) >= maxVariants {
		dropped, old = &old[0], old[1:]
	}
	with.Variants = append(slices.Clip(old), v)
	return with, dropped
}

// encode returns r in a compact form for decodeVaryRecord:
//
//	version  1 byte
//	epoch    8 bytes, little-endian
//	fields   count, then each
//	variants count, then of each the hash (16 bytes), the time of creation (8 bytes,
//	         little-endian Unix nanoseconds), ETag, Last-Modified
//
// Counts are uvarints, as are the lengths that strings are prefixed with.
func (r *VaryRecord) encode() string {
	b := make([]byte, 0, 64+len(r.Variants)*96)
	b = append(b, varyRecordVersion)
	b = binary.LittleEndian.AppendUint64(b, r.epoch)
	b = binary.AppendUvarint(b, uint64(len(r.Fields)))
	for _, name := range r.Fields {
		b = appendString(b, name)
	}
	b = binary.AppendUvarint(b, uint64(len(r.Variants)))
	for _, v := range r.Variants {
		b = append(b, v.Hash[:]...)
		b = binary.LittleEndian.AppendUint64(b, uint64(v.Created.UnixNano()))
		b = appendString(b, v.ETag)
		b = appendString(b, v.LastModified)
	}
	return string(b)
}

const varyRecordVersion = 2

// decodeVaryRecord is the inverse of encode. It rejects damage with an error that wraps ErrBadMeta.
// The strings of the record share s.
func decodeVaryRecord(s string) (*VaryRecord, error) {
	d, r := decoder{rest: s}, new(VaryRecord)
	var ok bool
	if r.epoch, r.Fields, ok = d.varyHead(nil); !ok {
		return nil, fmt.Errorf("%w: vary record of an unknown version, or damaged", ErrBadMeta)
	}
	n := d.uvarint()
	if n > maxVariants {
		return nil, fmt.Errorf("%w: vary record of %d variants", ErrBadMeta, n)
	}
	for range n {
		var v Variant
		copy(v.Hash[:], d.bytes(uint64(len(v.Hash))))
		v.Created = time.Unix(0, int64(d.uint64()))
		v.ETag, v.LastModified = d.string(), d.string()
		r.Variants = append(r.Variants, v)
	}
	if d.failed || d.rest != "" {
		return nil, fmt.Errorf("%w: damaged vary record", ErrBadMeta)
	}
	return r, nil
}

// varyHead reads the version, epoch and fields of a vary record. It appends the fields to buffer.
func (d *decoder) varyHead(buffer []string) (epoch uint64, fields []string, ok bool) {
	if version := d.bytes(1); version != string(rune(varyRecordVersion)) {
		return 0, nil, false
	}
	epoch, fields = d.uint64(), buffer
	for n := d.uvarint(); n > 0 && !d.failed; n-- {
		fields = append(fields, d.string())
	}
	return epoch, fields, !d.failed
}

// extensionVary is the name of the extension that holds a vary record.
const extensionVary = "cirque.vary"

// farFuture is the freshness lifetime of vary records, which must not be evicted as expired.
const farFuture = (1 << 31) * time.Second

// newVaryMeta returns the meta of an entry that holds r.
func newVaryMeta(r *VaryRecord, now time.Time) *CacheMeta {
	m := NewCacheMeta(0, nil, now, now.Add(farFuture), 0, 0)
	m.SetFlags(MetaVaryRecord)
	m.SetExtension(extensionVary, r.encode())
	return m
}

// VaryRecord returns the vary record that m holds. ok is false if m is the meta of a response, or
// the record is damaged.
func (m *CacheMeta) VaryRecord() (r *VaryRecord, ok bool) {
	r, err := decodeVaryRecord(m.packedVaryRecord())
	return r, err == nil
}

// packedVaryRecord returns the encoded record that m holds; empty if m is the meta of a response.
func (m *CacheMeta) packedVaryRecord() string {
	if !m.Has(MetaVaryRecord) {
		return ""
	}
	packed, _ := m.Extension(extensionVary)
	return packed
}
