package cirque

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// VarianceBuilder makes one hash of the dimensions that a response varies on: the request's values
// of the fields that Vary names (RFC 9111 §4.1), and dimensions of the caller's own, such as a
// device class. The pairs form a set: their order does not change the hash, nor does a repetition,
// and different sets have different hashes.
//
// Values are hashed as they are. A caller to whom two spellings are one value (RFC 9111 §4.1 allows
// that) must normalise them first, and must combine the lines of a field into one value.
//
// A VarianceBuilder is for one goroutine. Its zero value is ready for use. It keeps the strings
// that it is given, and allocates only for more than eight pairs or a few hundred bytes.
type VarianceBuilder struct {
	n     int
	first [8]variancePair
	all   []variancePair // every pair, once there are more than fit in first; nil until then

	epoch   uint64 // of the vary record
	ofEpoch bool   // there is a vary record, so there is variance

	resources bool // AddResource was called
}

// variancePair is one dimension. Its name is compared and hashed as if in lower case. A lower-case
// copy of each name would cost an allocation.
type variancePair struct {
	name, value string
	missing     bool
}

// AddNameValue adds a dimension and the request's value in it. The case of ASCII letters in names
// does not count, as in field names (RFC 9110 §5.1).
func (b *VarianceBuilder) AddNameValue(name, value string) {
	b.add(variancePair{name: name, value: value})
}

// AddResource adds a dimension that distinguishes resources which share a key. Other dimensions
// distinguish the representations of one resource. The validators of one resource say nothing about
// another (RFC 9110 §8.8.1), so variants in a record with such a dimension must not be validated
// for each other. See [VaryRecord.OfResources].
func (b *VarianceBuilder) AddResource(name, value string) {
	b.resources = true
	b.AddNameValue(name, value)
}

// addNameMissing adds a field that the request lacks. It matches only requests that lack it too,
// and not an empty value (RFC 9111 §4.1).
func (b *VarianceBuilder) addNameMissing(name string) {
	b.add(variancePair{name: name, missing: true})
}

func (b *VarianceBuilder) add(p variancePair) {
	switch {
	case b.n < len(b.first):
		b.first[b.n] = p
	case b.n == len(b.first):
		b.all = append(slices.Clone(b.first[:]), p) // a copy: aliasing itself would move b to the heap
	default:
		b.all = append(b.all, p)
	}
	b.n++
}

// HasVariance reports whether anything was added.
func (b *VarianceBuilder) HasVariance() bool { return b.n > 0 || b.ofEpoch }

// Finalize returns the hash of the pairs added so far. If there is no variance, the hash is zero
// and ok is false.
func (b *VarianceBuilder) Finalize() (hash HashBinary, ok bool) {
	if !b.HasVariance() {
		return HashBinary{}, false
	}
	pairs := b.all
	if pairs == nil {
		pairs = b.first[:b.n]
	}
	slices.SortFunc(pairs, variancePair.compare)
	var stack [512]byte
	text := binary.LittleEndian.AppendUint64(stack[:0], b.epoch)
	for i, p := range pairs {
		if i == 0 || p.compare(pairs[i-1]) != 0 {
			text = p.appendTo(text)
		}
	}
	return hash128(text), true
}

func (p variancePair) compare(o variancePair) int {
	if c := compareLower(p.name, o.name); c != 0 {
		return c
	}
	if p.missing != o.missing {
		if p.missing {
			return -1
		}
		return 1
	}
	return strings.Compare(p.value, o.value)
}

// appendTo appends the pair with its lengths, so that different rows of pairs have different texts.
func (p variancePair) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p.name)))
	for i := range len(p.name) {
		dst = append(dst, lowerASCII(p.name[i]))
	}
	if p.missing {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(p.value))+1)
	return append(dst, p.value...)
}

// compareLower compares a and b as if both were in lower case.
func compareLower(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			continue
		}
		if c := cmp.Compare(lowerASCII(a[i]), lowerASCII(b[i])); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func lowerASCII(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
