package cirque

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// HashBinary is a 128-bit key hash: SHA-256 cut to its first sixteen bytes. It is cryptographic on
// purpose: an attacker who could make two keys collide could replace one page by another.
//
// The zero value means "no hash".
type HashBinary [16]byte

// IsZero reports whether h is the zero hash, which means "no hash".
func (h HashBinary) IsZero() bool { return h == HashBinary{} }

// String returns h in lower-case hexadecimal.
func (h HashBinary) String() string { return hex.EncodeToString(h[:]) }

// parseHashBinary is the inverse of [HashBinary.String].
func parseHashBinary(s string) (HashBinary, error) {
	var h HashBinary
	if len(s) != 2*len(h) {
		return h, fmt.Errorf("cirque: a key hash has %d hexadecimal digits, not %d", 2*len(h), len(s))
	}
	if _, err := hex.Decode(h[:], []byte(s)); err != nil {
		return HashBinary{}, fmt.Errorf("cirque: key hash: %w", err)
	}
	return h, nil
}

// CacheKey names one stored response: a namespace, a primary key and, if the response varies, the
// variance of the request (RFC 9111 §2 and §4.1).
//
// A CacheKey is a value and never changes; the With methods return changed copies. Its hashes are
// computed once, when it is made. The zero CacheKey names nothing.
type CacheKey struct {
	namespace string
	primary   string
	userTag   string

	primaryHash HashBinary
	variance    HashBinary
	combined    HashBinary

	extensions map[string]string
}

// NewCacheKey returns the key of primary within namespace. The primary hash is that of the key's
// text (see AppendIdentity), and different pairs have different texts. The user tag is not part of
// the hash. It says whose entry this is, for accounting, and comes back with evicted keys.
func NewCacheKey(namespace, primary, userTag string) CacheKey {
	k := CacheKey{namespace: namespace, primary: primary, userTag: userTag}
	var stack [256]byte
	k.primaryHash = hash128(k.AppendIdentity(stack[:0]))
	k.combined = k.primaryHash
	return k
}

// hash128 is the hash that all keys use.
func hash128(b []byte) HashBinary {
	sum := sha256.Sum256(b)
	return HashBinary(sum[:16])
}

// Namespace returns the key's namespace.
func (k CacheKey) Namespace() string { return k.namespace }

// Primary returns the primary key.
func (k CacheKey) Primary() string { return k.primary }

// PrimaryHash returns the hash of namespace and primary key, or the override that
// [CacheKey.WithPrimaryHash] set. All variants of a response share it.
func (k CacheKey) PrimaryHash() HashBinary { return k.primaryHash }

// Variance returns the variance hash. It is zero if the key names the primary slot.
func (k CacheKey) Variance() HashBinary { return k.variance }

// Combined returns the hash of the whole key, variance included. It equals the primary hash if
// there is no variance.
func (k CacheKey) Combined() HashBinary { return k.combined }

// Extension returns the value that WithExtension attached under name.
func (k CacheKey) Extension(name string) (value string, ok bool) {
	value, ok = k.extensions[name]
	return value, ok
}

// WithVariance returns the key of one variant. With a zero hash it returns the key of the primary
// slot.
func (k CacheKey) WithVariance(v HashBinary) CacheKey {
	k.variance = v
	k.combined = combine(k.primaryHash, v)
	return k
}

// WithPrimaryHash returns the key with h in place of the computed primary hash, for callers who
// address entries by their own hash. Collisions of h must be as hard to find as those of the
// computed hash. A zero h is ignored.
func (k CacheKey) WithPrimaryHash(h HashBinary) CacheKey {
	if h.IsZero() {
		return k
	}
	k.primaryHash = h
	k.combined = combine(h, k.variance)
	return k
}

// WithExtension returns the key with a note for the Storage. The note is not part of the key's
// identity.
func (k CacheKey) WithExtension(name, value string) CacheKey {
	ext := make(map[string]string, len(k.extensions)+1)
	for n, v := range k.extensions {
		ext[n] = v
	}
	ext[name] = value
	k.extensions = ext
	return k
}

// AppendIdentity appends the text of the key to dst. A Storage keeps the text with the entry and
// compares it at lookup, so that even a collision of hashes cannot serve one URL's response for
// another. The parts are length-prefixed, so different keys have different texts.
func (k CacheKey) AppendIdentity(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(k.namespace)))
	dst = append(dst, k.namespace...)
	dst = binary.AppendUvarint(dst, uint64(len(k.primary)))
	dst = append(dst, k.primary...)
	if !k.variance.IsZero() {
		dst = append(dst, k.variance[:]...)
	}
	return dst
}

// ParseIdentity is the inverse of [CacheKey.AppendIdentity]. The key has neither a user tag nor
// extensions, and its primary hash is the computed one.
func ParseIdentity(text []byte) (CacheKey, error) {
	part := func() (string, bool) {
		n, size := binary.Uvarint(text)
		if size <= 0 || n > uint64(len(text)-size) {
			return "", false
		}
		s := string(text[size:][:n])
		text = text[size+int(n):]
		return s, true
	}
	namespace, ok := part()
	if !ok {
		return CacheKey{}, errBadIdentity
	}
	primary, ok := part()
	if !ok || len(text) != 0 && len(text) != len(HashBinary{}) {
		return CacheKey{}, errBadIdentity
	}
	key := NewCacheKey(namespace, primary, "")
	if len(text) > 0 {
		key = key.WithVariance(HashBinary(text))
	}
	return key, nil
}

var errBadIdentity = errors.New("cirque: damaged text of a key")

// Compact returns the parts of the key that accounting needs.
func (k CacheKey) Compact() CompactCacheKey {
	return CompactCacheKey{Primary: k.primaryHash, Variance: k.variance, UserTag: k.userTag}
}

// String returns the key's compact form, for logs.
func (k CacheKey) String() string { return k.Compact().String() }

func combine(primary, variance HashBinary) HashBinary {
	if variance.IsZero() {
		return primary
	}
	// No key text can begin with these bytes, because no length does. So no primary key can be
	// chosen whose hash is that of a variant.
	b := [48]byte{0: 0xff, 1: 0xff, 2: 0xff, 3: 0xff, 4: 0xff, 5: 0xff, 6: 0xff, 7: 0xff, 8: 0xff, 9: 0xff, 10: 0xff}
	copy(b[16:32], primary[:])
	copy(b[32:], variance[:])
	return hash128(b[:])
}

// CompactCacheKey is a CacheKey without its text. Eviction, purging and saved state hold keys in
// this form. It is comparable with ==, ordered by Compare, printable and parseable.
type CompactCacheKey struct {
	Primary  HashBinary
	Variance HashBinary // zero for the primary slot
	UserTag  string
}

// Combined returns the same hash as [CacheKey.Combined].
func (k CompactCacheKey) Combined() HashBinary { return combine(k.Primary, k.Variance) }

// Compare orders keys by primary hash, then variance, then user tag.
func (k CompactCacheKey) Compare(o CompactCacheKey) int {
	return cmp.Or(
		bytes.Compare(k.Primary[:], o.Primary[:]),
		bytes.Compare(k.Variance[:], o.Variance[:]),
		strings.Compare(k.UserTag, o.UserTag),
	)
}

// String returns "primary" or "primary.variance", followed by "@usertag" if there is a user tag.
func (k CompactCacheKey) String() string {
	s := k.Primary.String()
	if !k.Variance.IsZero() {
		s += "." + k.Variance.String()
	}
	if k.UserTag != "" {
		s += "@" + k.UserTag
	}
	return s
}

// ParseCompactCacheKey is the inverse of [CompactCacheKey.String].
func ParseCompactCacheKey(s string) (CompactCacheKey, error) {
	hashes, tag, tagged := strings.Cut(s, "@")
	if tagged && tag == "" {
		return CompactCacheKey{}, errors.New("cirque: compact key with an empty user tag")
	}
	primary, variance, varied := strings.Cut(hashes, ".")
	k := CompactCacheKey{UserTag: tag}
	var err error
	if k.Primary, err = parseHashBinary(primary); err != nil {
		return CompactCacheKey{}, err
	}
	if varied {
		if k.Variance, err = parseHashBinary(variance); err != nil {
			return CompactCacheKey{}, err
		}
		if k.Variance.IsZero() {
			return CompactCacheKey{}, errors.New("cirque: compact key with a zero variance")
		}
	}
	return k, nil
}
