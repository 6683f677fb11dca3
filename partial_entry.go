package cirque

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Partial says which bytes of a representation an entry marked [MetaPartial] holds (RFC 9111 §3.3). Its body is
// those bytes, in ascending order and without gaps.
type Partial struct {
	// Size is the complete length of the representation.
	Size int64
	// Intervals are the ranges held: sorted, disjoint, not adjacent, none empty, at most MaxIntervals.
	Intervals []ByteRange
}

// MaxIntervals is how many separate ranges of one representation are kept.
const MaxIntervals = 64

// index returns the index of the interval that r lies within, or -1.
func (p *Partial) index(r ByteRange) int {
	return slices.IndexFunc(p.Intervals, func(i ByteRange) bool { return i.Start <= r.Start && r.End <= i.End })
}

// Covers reports whether all bytes of r are held.
func (p *Partial) Covers(r ByteRange) bool { return p.index(r) >= 0 }

// Complete reports whether the whole representation is held.
func (p *Partial) Complete() bool { return p.Covers(ByteRange{0, p.Size}) }

// Missing returns the ranges within r that are not held, in ascending order.
func (p *Partial) Missing(r ByteRange) []ByteRange {
	var missing []ByteRange
	for _, held := range p.Intervals {
		if held.End <= r.Start {
			continue
		}
		if held.Start >= r.End {
			break
		}
		if r.Start < held.Start {
			missing = append(missing, ByteRange{r.Start, held.Start})
		}
		r.Start = held.End
	}
	if r.Start < r.End {
		missing = append(missing, r)
	}
	return missing
}

// Add returns a Partial that holds r too (RFC 9111 §3.4). ok is false, and p returned, where r is no part of
// the representation or would be one interval too many.
func (p *Partial) Add(r ByteRange) (with *Partial, ok bool) {
	if r.Start < 0 || r.End <= r.Start || r.End > p.Size {
		return p, false
	}
	with = &Partial{Size: p.Size}
	for _, held := range p.Intervals {
		if r.touches(held) {
			r = ByteRange{min(r.Start, held.Start), max(r.End, held.End)}
		} else {
			with.Intervals = append(with.Intervals, held)
		}
	}
	if len(with.Intervals) >= MaxIntervals {
		return p, false
	}
	at, _ := slices.BinarySearchFunc(with.Intervals, r.Start, func(i ByteRange, start int64) int {
		return int(min(max(i.Start-start, -1), 1))
	})
	with.Intervals = slices.Insert(with.Intervals, at, r)
	return with, true
}

// Offset returns where in the entry's body the bytes of r begin; ok is false where they are not all held.
func (p *Partial) Offset(r ByteRange) (offset int64, ok bool) {
	i := p.index(r)
	if i < 0 {
		return 0, false
	}
	for _, before := range p.Intervals[:i] {
		offset += before.Len()
	}
	return offset + r.Start - p.Intervals[i].Start, true
}

const partialVersion = 1

// Encode returns p in a compact form for [DecodePartial]: a version byte, then as uvarints the size and, from
// each end of an interval to the next, the distance.
func (p *Partial) Encode() string {
	b := []byte{partialVersion}
	b = binary.AppendUvarint(b, uint64(p.Size))
	var at int64
	for _, held := range p.Intervals {
		b = binary.AppendUvarint(b, uint64(held.Start-at))
		b = binary.AppendUvarint(b, uint64(held.End-held.Start))
		at = held.End
	}
	return string(b)
}

// DecodePartial is the inverse of [Partial.Encode], for input that anybody may have made. Its errors wrap
// ErrBadMeta.
func DecodePartial(s string) (*Partial, error) {
	d := decoder{rest: s}
	version, size := d.bytes(1), d.uvarint()
	if d.failed || version[0] != partialVersion || size > math.MaxInt64 {
		return nil, fmt.Errorf("%w: partial", ErrBadMeta)
	}
	p := &Partial{Size: int64(size)}
	var at uint64
	for d.rest != "" {
		gap, length := d.uvarint(), d.uvarint()
		if d.failed || length == 0 || gap == 0 && at > 0 || gap > size-at || length > size-at-gap ||
			len(p.Intervals) == MaxIntervals {
			return nil, fmt.Errorf("%w: partial", ErrBadMeta)
		}
		p.Intervals = append(p.Intervals, ByteRange{int64(at + gap), int64(at + gap + length)})
		at += gap + length
	}
	return p, nil
}

// Partial returns what m says about the parts held. ok is false where m is not marked as partial, or that is
// damaged.
func (m *CacheMeta) Partial() (p *Partial, ok bool) {
	if !m.Has(MetaPartial) {
		return nil, false
	}
	s, _ := m.Extension(extensionPartial)
	p, err := DecodePartial(s)
	return p, err == nil
}

// setPartial marks m as holding what p says, or as complete if that is all.
func (m *CacheMeta) setPartial(p *Partial) {
	h := m.header.Header()
	if p.Complete() {
		m.flags &^= MetaPartial
		m.SetExtension(extensionPartial, "")
		h["Content-Length"] = []string{strconv.FormatInt(p.Size, 10)} // RFC 9110 §15.3.7.3
	} else {
		m.flags |= MetaPartial
		m.SetExtension(extensionPartial, p.Encode())
		delete(h, "Content-Length") // that of the part
	}
	delete(h, "Content-Range")
	m.SetHeader(h)
}

// StorePartial decides whether the 206 to a GET with Range may be stored (RFC 9111 §3.3): it must be a single
// part with a consistent Content-Range, a known complete length and a strong validator, or it could never be
// combined. The meta is that of an incomplete 200, marked partial with the one range that is returned; or of a
// complete one, where the part is the whole.
func (p *Policy) StorePartial(x *Exchange) (*CacheMeta, ByteRange, *Refusal) {
	r, size, refusal := storablePart(x)
	if refusal != nil {
		return nil, ByteRange{}, refusal
	}
	c := p.candidate(x, http.StatusOK, x.Header)
	if refusal := c.refusal(); refusal != nil {
		return nil, ByteRange{}, refusal
	}
	m := c.meta()
	m.setPartial(&Partial{Size: size, Intervals: []ByteRange{r}})
	return m, r, nil
}

// storablePart returns what a 206 holds of a representation, and its complete length.
func storablePart(x *Exchange) (r ByteRange, size int64, refusal *Refusal) {
	switch {
	case x.method() != http.MethodGet || len(x.Request.Header["Range"]) == 0:
		return r, 0, refuseRequest("method")
	case x.Status != http.StatusPartialContent:
		return r, 0, refuseResponse("status")
	case hasPrefixFold(x.Header.Get("Content-Type"), "multipart/byteranges") || len(x.Header["Content-Range"]) != 1:
		return r, 0, refuseResponse("multipart")
	}
	r, size, ok := ParseContentRange(x.Header["Content-Range"][0])
	if !ok || size < 0 {
		return r, 0, refuseResponse("content-range") // RFC 9110 §14.4
	}
	if length := x.Header.Get("Content-Length"); length != "" && length != strconv.FormatInt(r.Len(), 10) {
		return r, 0, refuseResponse("content-range")
	}
	if !isStrong(x.Header.Get("Etag")) && !strongDate(x.Header, x.ResponseTime) || x.Decoded {
		return r, 0, refuseResponse("no-validator") // RFC 9111 §3.4
	}
	return r, size, nil
}

// Combinable reports whether a 206 with header h is of the same representation as the stored response, so that
// their bytes may be put together (RFC 9111 §3.4): they share a strong validator.
func Combinable(stored *CacheMeta, h http.Header) bool {
	header := stored.Header()
	if stored.Has(MetaDecoded) {
		return false
	}
	if etag := h.Get("Etag"); etag != "" || header.Has("Etag") {
		return StrongMatch(etag, header.Get("Etag"))
	}
	now := stored.Updated()
	return strongDate(header, now) && strongDate(h, now) &&
		sameDate(h.Get("Last-Modified"), header.Get("Last-Modified"), now)
}

// CombinePartial updates a stored partial response with a 206 that brings more of it (RFC 9111 §3.4): the
// header as [Policy.Freshen] does, and the ranges held. The range returned is that of the 206. The meta is that
// of a complete response once all is there. It is refused where the two can't be combined: the stored one is
// then of no use any more, unless the refusal is not ByResponse and does not End it.
func (p *Policy) CombinePartial(stored *CacheMeta, x *Exchange) (*CacheMeta, ByteRange, *Refusal) {
	r, size, refusal := storablePart(x)
	if refusal != nil {
		return nil, ByteRange{}, refusal
	}
	held, ok := stored.Partial()
	if !ok || held.Size != size || !Combinable(stored, x.Header) {
		return nil, ByteRange{}, refuseResponse("not-combinable")
	}
	with, ok := held.Add(r)
	if !ok {
		return nil, ByteRange{}, refuseRequest("too-many-ranges")
	}
	m, refusal := p.Freshen(stored, x)
	if refusal != nil {
		return nil, ByteRange{}, refusal
	}
	m.setPartial(with)
	return m, r, nil
}

// hasPrefixFold is strings.HasPrefix without regard to case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
