package cirque

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// VaryFields returns the request fields that a response with header h varies on (RFC 9110 §12.5.5):
// canonical, sorted, each once, from all lines of Vary. star reports that a member is "*": then the
// stored response matches no request (RFC 9111 §4.1). star is also true for more than 64 fields,
// because each lookup has to go through them all.
func VaryFields(h http.Header) (fields []string, star bool) {
	for name := range field.Tokens(h["Vary"]) {
		if name == "*" {
			star = true
			continue
		}
		fields = append(fields, http.CanonicalHeaderKey(name))
	}
	slices.Sort(fields)
	fields = slices.Compact(fields)
	return fields, star || len(fields) > maxVaryFields
}

const maxVaryFields = 64

// VaryVariance returns a builder with the values that a request with header h has in fields, so
// that two requests have the same variance if their fields match (RFC 9111 §4.1). A field matches
// if it has the same lines, byte for byte. The RFC allows a cache to ignore whitespace, case, order
// and the split into lines. This one does not: if the origin sees such a difference, one client
// could get another's answer. A missing field matches only a missing field.
//
// The epoch, which is that of the vary record, is part of the variance. So Finalize always returns
// a hash.
func VaryVariance(fields []string, h http.Header, epoch uint64) *VarianceBuilder {
	b := &VarianceBuilder{epoch: epoch, ofEpoch: true}
	b.addFields(fields, h)
	return b // short enough to be inlined, so that b can stay on the caller's stack
}

func (b *VarianceBuilder) addFields(fields []string, h http.Header) {
	for _, name := range fields {
		if lines := h[name]; len(lines) > 0 {
			b.AddNameValue(name, joinLines(lines))
		} else {
			b.addNameMissing(name)
		}
	}
}

// joinLines returns one value for the lines of a field. Different lines have different values. The
// value of a single line is the line itself, unless it begins with NUL as the value of several
// does.
func joinLines(lines []string) string {
	if len(lines) == 1 && !strings.HasPrefix(lines[0], "\x00") {
		return lines[0]
	}
	b := []byte{0}
	for _, line := range lines {
		b = appendString(b, line)
	}
	return string(b)
}

// varyHash returns the variance hash of a request with this header, for a vary record with these
// fields and this epoch, and extra's dimensions.
func varyHash(fields []string, header http.Header, epoch uint64, extra func(*VarianceBuilder)) HashBinary {
	if extra == nil {
		hash, _ := VaryVariance(fields, header, epoch).Finalize() // without extra, the builder stays on the stack
		return hash
	}
	b := VaryVariance(fields, header, epoch)
	extra(b)
	hash, _ := b.Finalize()
	return hash
}

// addsVariance reports whether extra adds a dimension, and whether it adds a resource.
func addsVariance(extra func(*VarianceBuilder)) (varies, resources bool) {
	if extra == nil {
		return false, false
	}
	b := new(VarianceBuilder)
	extra(b)
	return b.HasVariance(), b.resources
}
