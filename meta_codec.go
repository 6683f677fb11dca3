package cirque

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

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
	sectionFetch      = 4 // purge epoch, then asked, as uvarints; none where both are zero
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
	if m.purgeEpoch == 0 && m.asked == 0 {
		return 0
	}
	return uvarintSize(m.purgeEpoch) + uvarintSize(uint64(m.asked))
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
		dst = binary.AppendUvarint(dst, uint64(m.asked))
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
		return fmt.Errorf("%w: checksum", ErrBadMeta)
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

// UnmarshalTrusted decodes what AppendBinary made in this process and nobody else could touch: no
// checksum is computed and nothing is copied, the meta shares s.
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
	m.asked, m.purgeEpoch = 0, 0

	rest := s[metaFixedAt+int(uint16(s[metaPrefix])|uint16(s[metaPrefix+1])<<8):]
	for rest != "" {
		id, after, ok := checkedUvarint(rest)
		if !ok {
			return fmt.Errorf("%w: section id", ErrBadMeta)
		}
		size, after, ok := checkedUvarint(after)
		if !ok || size > uint64(len(after)) {
			return fmt.Errorf("%w: section length", ErrBadMeta)
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
			asked := d.uvarint()
			if d.failed || asked > math.MaxInt64 {
				return fmt.Errorf("%w: fetch", ErrBadMeta)
			}
			m.asked = int64(asked)
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

func uint32At(s string, i int) uint32 {
	_ = s[i+3]
	return uint32(s[i]) | uint32(s[i+1])<<8 | uint32(s[i+2])<<16 | uint32(s[i+3])<<24
}

func uint64At(s string, i int) uint64 {
	return uint64(uint32At(s, i)) | uint64(uint32At(s, i+4))<<32
}

// Extensions yields the notes attached with SetExtension, sorted by name.
func (m *CacheMeta) allExtensions() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for rest := m.extensions; rest != ""; {
			var name, value string
			name, rest = lengthPrefixed(rest)
			value, rest = lengthPrefixed(rest)
			if !yield(name, value) {
				return
			}
		}
	}
}

// SetExtension attaches value under name, for the users of the library: whatever they want to know
// again at a hit. An empty value removes it. Names that start with "cirque." are the library's own.
func (m *CacheMeta) SetExtension(name, value string) {
	var pairs [][2]string
	for n, v := range m.allExtensions() {
		if n != name {
			pairs = append(pairs, [2]string{n, v})
		}
	}
	if value != "" {
		pairs = append(pairs, [2]string{name, value})
	}
	slices.SortFunc(pairs, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	var b []byte
	for _, pair := range pairs {
		for _, s := range pair {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	m.extensions = string(b)
}

func checkExtensions(s string) error {
	for part := 0; s != "" || part%2 != 0; part++ {
		n, rest, ok := checkedUvarint(s)
		if !ok || n > uint64(len(rest)) {
			return fmt.Errorf("%w: extensions", ErrBadMeta)
		}
		s = rest[n:]
	}
	return nil
}

// CacheMetaDefaults gives responses without explicit freshness a lifetime by their status code, and
// stale windows where the response names none. The zero value gives none.
type CacheMetaDefaults struct {
	// FreshFor returns the lifetime for a status; nil, or a result of zero or less, means that such
	// a response is not fresh by default.
	FreshFor func(status int) time.Duration

	// StaleWhileRevalidate and StaleIfError are the windows of RFC 5861 where the response is
	// silent.
	StaleWhileRevalidate, StaleIfError time.Duration
}

// FreshDuration returns the default lifetime for status. 304 shares that of 200, which it
// freshens.
func (d CacheMetaDefaults) FreshDuration(status int) time.Duration {
	if d.FreshFor == nil {
		return 0
	}
	if status == 304 {
		status = 200
	}
	return max(0, d.FreshFor(status))
}
