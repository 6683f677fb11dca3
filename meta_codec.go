package cirque

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// The binary form of a CacheMeta, for disk and wire, and for memory:
//
//	magic    1 byte   0xC1
//	version  1 byte   raised only when older readers could misread what follows
//	checksum 8 bytes  xxhash64 of everything after it, little-endian
//	fixed    2 bytes  length of the fixed part, little-endian; later versions append to that part
//	...               the fixed part (fixedV1)
//	sections          until the end: id (uvarint), length (uvarint), bytes
//
// A reader skips what it does not know at the end of the fixed part and sections with unknown
// ids, so fields can be added without a new version.
const (
	metaMagic   = 0xC1
	metaVersion = 1

	metaPrefix  = 1 + 1 + 8
	metaFixedAt = metaPrefix + 2

	sectionHeader     = 1
	sectionExtensions = 2
	sectionVariance   = 3 // none where it is zero
	sectionFetch      = 4 // purge epoch, then askedAgo, as uvarints; none where both are zero
)

// Offsets within the fixed part. It is read by position, so that decoding costs a hit little.
const (
	offStatus     = 0
	offFlags      = offStatus + 2
	offSWR        = offFlags + 4
	offSIE        = offSWR + 4
	offCreated    = offSIE + 4
	offUpdated    = offCreated + 8
	offFreshUntil = offUpdated + 8
	offEpoch      = offFreshUntil + 8
	fixedV1       = offEpoch + 8
)

// ErrBadMeta is wrapped by every error of UnmarshalBinary.
var ErrBadMeta = errors.New("cirque: damaged or unknown meta")

func (m *CacheMeta) encodedSize() int {
	return metaFixedAt + fixedV1 + sectionSize(len(m.header.packed)) + sectionSize(len(m.extensions)) + sectionSize(len(m.encodedVariance())) +
		sectionSize(m.fetchSize())
}

// fetchSize returns the length of the section about the fetch.
func (m *CacheMeta) fetchSize() int {
	if m.purgeEpoch == 0 && m.askedAgo == 0 {
		return 0
	}
	return uvarintSize(m.purgeEpoch) + uvarintSize(uint64(m.askedAgo))
}

// encodedVariance returns the variance, or nothing where it is zero.
func (m *CacheMeta) encodedVariance() []byte {
	if m.variance.IsZero() {
		return nil
	}
	return m.variance[:]
}

func sectionSize(n int) int {
	if n == 0 {
		return 0
	}
	return 1 + uvarintSize(n) + n
}

func uvarintSize[T int | uint64](n T) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// AppendBinary implements encoding.BinaryAppender. It never fails.
func (m *CacheMeta) AppendBinary(dst []byte) ([]byte, error) {
	start := len(dst)
	dst = slices.Grow(dst, m.encodedSize())
	dst = append(dst, metaMagic, metaVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	le := binary.LittleEndian
	dst = le.AppendUint16(dst, fixedV1)
	dst = le.AppendUint16(dst, m.status)
	dst = le.AppendUint32(dst, uint32(m.flags))
	dst = le.AppendUint32(dst, m.swr)
	dst = le.AppendUint32(dst, m.sie)
	dst = le.AppendUint64(dst, uint64(m.created))
	dst = le.AppendUint64(dst, uint64(m.updated))
	dst = le.AppendUint64(dst, uint64(m.freshUntil))
	dst = le.AppendUint64(dst, uint64(m.epoch))
	dst = appendSection(dst, sectionHeader, m.header.packed)
	dst = appendSection(dst, sectionExtensions, m.extensions)
	dst = appendSection(dst, sectionVariance, m.encodedVariance())
	if n := m.fetchSize(); n > 0 {
		dst = append(dst, sectionFetch, byte(n)) // two numbers of at most ten bytes
		dst = binary.AppendUvarint(dst, m.purgeEpoch)
		dst = binary.AppendUvarint(dst, uint64(m.askedAgo))
	}
	le.PutUint64(dst[start+2:], xxhash.Sum64(dst[start+metaPrefix:]))
	return dst, nil
}

func appendSection[T string | []byte](dst []byte, id byte, s T) []byte {
	if len(s) == 0 {
		return dst
	}
	dst = append(dst, id)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler for bytes that come from outside of this
// process: it checks the checksum, the structure, and that every field line can be sent without
// splitting the response. Errors wrap ErrBadMeta and leave m as it was. data stays the caller's.
func (m *CacheMeta) UnmarshalBinary(data []byte) error {
	if len(data) < metaFixedAt+fixedV1 || data[0] != metaMagic {
		return fmt.Errorf("%w: not a meta", ErrBadMeta)
	}
	if data[1] != metaVersion {
		return fmt.Errorf("%w: version %d", ErrBadMeta, data[1])
	}
	le := binary.LittleEndian
	if le.Uint64(data[2:]) != xxhash.Sum64(data[metaPrefix:]) {
		return fmt.Errorf("%w: wrong checksum", ErrBadMeta)
	}
	if fixed := int(le.Uint16(data[metaPrefix:])); fixed < fixedV1 || metaFixedAt+fixed > len(data) {
		return fmt.Errorf("%w: fixed part of %d bytes", ErrBadMeta, fixed)
	}
	var decoded CacheMeta
	if err := decoded.decode(string(data), true); err != nil {
		return err
	}
	*m = decoded
	return nil
}

// UnmarshalTrusted decodes s, which AppendBinary must have made in this process and which nothing
// may have changed since. It computes no checksum and copies nothing: the meta shares s.
func (m *CacheMeta) UnmarshalTrusted(s string) { _ = m.decode(s, false) }

func (m *CacheMeta) decode(s string, check bool) error {
	fixed := s[metaFixedAt : metaFixedAt+fixedV1]
	m.status = uint16(fixed[offStatus]) | uint16(fixed[offStatus+1])<<8
	m.flags = MetaFlags(uint32At(fixed, offFlags))
	m.swr = uint32At(fixed, offSWR)
	m.sie = uint32At(fixed, offSIE)
	m.created = int64(uint64At(fixed, offCreated))
	m.updated = int64(uint64At(fixed, offUpdated))
	m.freshUntil = int64(uint64At(fixed, offFreshUntil))
	m.epoch = int64(uint64At(fixed, offEpoch))
	m.variance, m.header, m.extensions = HashBinary{}, HeaderSection{}, ""
	m.askedAgo, m.purgeEpoch = 0, 0

	rest := s[metaFixedAt+int(uint16(s[metaPrefix])|uint16(s[metaPrefix+1])<<8):]
	for rest != "" {
		id, after, ok := checkedUvarint(rest)
		if !ok {
			return fmt.Errorf("%w: damaged section id", ErrBadMeta)
		}
		size, after, ok := checkedUvarint(after)
		if !ok || size > uint64(len(after)) {
			return fmt.Errorf("%w: damaged section length", ErrBadMeta)
		}
		switch id {
		case sectionHeader:
			m.header.packed = after[:size]
		case sectionExtensions:
			m.extensions = after[:size]
		case sectionVariance:
			if size != uint64(len(m.variance)) {
				return fmt.Errorf("%w: variance of %d bytes", ErrBadMeta, size)
			}
			copy(m.variance[:], after)
		case sectionFetch:
			d := decoder{rest: after[:size]}
			m.purgeEpoch = d.uvarint()
			askedAgo := d.uvarint()
			if d.failed || askedAgo > math.MaxInt64 {
				return fmt.Errorf("%w: damaged fetch section", ErrBadMeta)
			}
			m.askedAgo = int64(askedAgo)
		}
		rest = after[size:]
	}
	if !check {
		return nil
	}
	if err := m.header.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadMeta, err)
	}
	return checkExtensions(m.extensions)
}

// MetaSize returns the bytes the encoded meta takes.
func (m *CacheMeta) MetaSize() int { return m.encodedSize() }
