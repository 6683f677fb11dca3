package rules

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Partial says which bytes of a representation an entry marked [cirque.MetaPartial] holds
// (RFC 9111 §3.3). The entry's body is those bytes, in ascending order and without gaps.
type Partial struct {
	// Size is the complete length of the representation.
	Size int64
	// Intervals are the held ranges: sorted, disjoint, not adjacent, not empty, at most
	// MaxIntervals.
	Intervals []ByteRange
}

// MaxIntervals is the largest number of separate ranges that an entry holds of one representation.
const MaxIntervals = 64

// index returns the index of the interval that contains r, or -1.
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

// Add returns a Partial that also holds r (RFC 9111 §3.4). If r is not within the representation,
// or would make more than MaxIntervals intervals, it returns p and false.
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

// Offset returns where in the entry's body the bytes of r begin. ok is false if not all of them are
// held.
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

// Encode returns p in a compact form for [DecodePartial]: a version byte, then uvarints. These are
// the size and, per interval, the gap before it and its length.
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

// DecodePartial is the inverse of [Partial.Encode]. It may be called with untrusted input. Its
// errors wrap ErrBadMeta.
func DecodePartial(s string) (*Partial, error) {
	bad := fmt.Errorf("%w: partial", cirque.ErrBadMeta)
	if s == "" || s[0] != partialVersion {
		return nil, bad
	}
	rest, ok := []byte(s[1:]), true
	uvarint := func() uint64 {
		n, length := binary.Uvarint(rest)
		if length <= 0 {
			ok, length = false, len(rest)
		}
		rest = rest[length:]
		return n
	}
	size := uvarint()
	if !ok || size > math.MaxInt64 {
		return nil, bad
	}
	p := &Partial{Size: int64(size)}
	var at uint64
	for len(rest) > 0 {
		gap, length := uvarint(), uvarint()
		if !ok || length == 0 || gap == 0 && at > 0 || gap > size-at || length > size-at-gap ||
			len(p.Intervals) == MaxIntervals {
			return nil, bad
		}
		p.Intervals = append(p.Intervals, ByteRange{int64(at + gap), int64(at + gap + length)})
		at += gap + length
	}
	return p, nil
}

// extensionPartial is the name of the extension that holds a Partial.
const extensionPartial = "cirque.partial"

// PartialOf returns which parts of the representation m's entry holds. ok is false if m is not
// marked as partial, or if the record of the parts is damaged.
func PartialOf(m *cirque.CacheMeta) (p *Partial, ok bool) {
	if !m.Has(cirque.MetaPartial) {
		return nil, false
	}
	s, _ := m.Extension(extensionPartial)
	p, err := DecodePartial(s)
	return p, err == nil
}

// setPartial records p in m, or marks m as complete if p holds the whole representation.
func setPartial(m *cirque.CacheMeta, p *Partial) {
	h := m.Header().Header()
	if p.Complete() {
		m.SetFlags(m.Flags() &^ cirque.MetaPartial)
		m.SetExtension(extensionPartial, "")
		h["Content-Length"] = []string{strconv.FormatInt(p.Size, 10)} // RFC 9110 §15.3.7.3
	} else {
		m.SetFlags(m.Flags() | cirque.MetaPartial)
		m.SetExtension(extensionPartial, p.Encode())
		delete(h, "Content-Length") // it is the length of the part
	}
	delete(h, "Content-Range")
	m.SetHeader(h)
}

// StorePartial decides whether the 206 to a GET with Range may be stored (RFC 9111 §3.3). It must
// be a single part with a consistent Content-Range, a known complete length and a strong validator;
// else it could never be combined. The meta is that of an incomplete 200, marked as partial with
// the returned range. If the part is the whole representation, the meta is that of a complete 200.
func (p *Policy) StorePartial(x *Exchange) (*cirque.CacheMeta, ByteRange, *Refusal) {
	r, size, refusal := storablePart(x)
	if refusal != nil {
		return nil, ByteRange{}, refusal
	}
	c := p.candidate(x, http.StatusOK, x.Header)
	if refusal := c.refusal(); refusal != nil {
		return nil, ByteRange{}, refusal
	}
	m := c.meta()
	setGroups(m, x.Request)
	setPartial(m, &Partial{Size: size, Intervals: []ByteRange{r}})
	return m, r, nil
}

// storablePart returns the range of a representation that a 206 holds, and the complete length.
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

// Combinable reports whether a 206 with header h has the same strong validator as the stored
// response. Then both are of the same representation, and their bytes may be combined
// (RFC 9111 §3.4).
func Combinable(stored *cirque.CacheMeta, h http.Header) bool {
	header := stored.Header()
	if stored.Has(cirque.MetaDecoded) {
		return false
	}
	if etag := h.Get("Etag"); etag != "" || header.Has("Etag") {
		return StrongMatch(etag, header.Get("Etag"))
	}
	now := stored.Updated()
	return strongDate(header, now) && strongDate(h, now) &&
		field.SameDate(h.Get("Last-Modified"), header.Get("Last-Modified"), now)
}

// CombinePartial updates a stored partial response with a 206 that has more of it (RFC 9111 §3.4).
// It updates the header as [Policy.Freshen] does, and adds the range of the 206, which it returns.
// Once nothing is missing, the meta is that of a complete response. If the two cannot be combined,
// it returns a refusal. If the refusal is ByResponse or Ends the stored response, that is no longer
// usable.
func (p *Policy) CombinePartial(stored *cirque.CacheMeta, x *Exchange) (*cirque.CacheMeta, ByteRange, *Refusal) {
	r, size, refusal := storablePart(x)
	if refusal != nil {
		return nil, ByteRange{}, refusal
	}
	held, ok := PartialOf(stored)
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
	setPartial(m, with)
	return m, r, nil
}

// hasPrefixFold is strings.HasPrefix without regard to case.
func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
