package cirque

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"
)

// VarianceBuilder turns what a response varies on into one hash: the request's values of the fields
// that Vary names (RFC 9111 §4.1), and dimensions of the caller's own, such as a device class. The
// pairs form a set: neither their order nor a repetition changes the hash, and no two sets share
// one.
//
// Values are hashed as they are. Whoever holds two spellings to be one value (RFC 9111 §4.1 allows
// it) normalises before adding, and combines the lines of a field into one value.
//
// A VarianceBuilder is for one goroutine; its zero value is ready. It keeps the strings it is
// given, and allocates only beyond eight pairs or a few hundred bytes of them.
type VarianceBuilder struct {
	n     int
	first [8]variancePair
	all   []variancePair // every pair, once there are more than first holds; nil until then

	epoch   uint64 // of the vary record; zero for none
	ofEpoch bool   // there is a vary record, so there is variance

	resources bool // a dimension tells resources apart
}

// variancePair is one dimension. Its name is compared and hashed as if in lower case: Vary's names
// come capitalised, and a lower-case copy of each would cost an allocation.
type variancePair struct {
	name, value string
	missing     bool
}

// NewVarianceBuilder returns a builder without variance.
func NewVarianceBuilder() *VarianceBuilder { return new(VarianceBuilder) }

// AddNameValue adds a dimension and the request's value in it. Names are told apart without
// regard to the case of ASCII letters, as field names are (RFC 9110 §5.1).
func (b *VarianceBuilder) AddNameValue(name, value string) {
	b.add(variancePair{name: name, value: value})
}

// AddResource adds a dimension that tells apart resources which share a key, where others tell
// apart the representations of one resource. The validators of one resource say nothing about
// another (RFC 9110 §8.8.1): the variants of a record that has such a dimension must not be
// validated for each other. See [VaryRecord.OfResources].
func (b *VarianceBuilder) AddResource(name, value string) {
	b.resources = true
	b.AddNameValue(name, value)
}

// addNameMissing adds a field that the request lacks: it matches other requests that lack it, and
// no value, the empty one included (RFC 9111 §4.1).
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

// Finalize returns the hash of what was added so far; ok is false, and the hash zero, where that is
// nothing.
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

// appendTo appends the pair in a form that ends itself, so that a row of pairs can be read in one
// way only.
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
