package cirque

import (
	"encoding/binary"
	"errors"
	"iter"
	"net/http"
	"slices"

	"github.com/cirquecache/cirque/internal/field"
)

// HeaderSection is a header section (RFC 9110 §6.3) packed into one immutable string. Its field
// lines are sorted by name; lines of one name keep their order. A hit slices names and values out
// of the string without copying them. The zero value has no fields.
type HeaderSection struct {
	packed string
}

// packHeader packs h. Names are kept as they are spelt. Fields without a value are left out;
// net/http uses these to suppress a field.
func packHeader(h http.Header) HeaderSection {
	// Most headers fit into these two buffers, which are on the stack.
	var fields [32]string
	var room [1 << 10]byte
	names := fields[:0]
	size, lines := binary.MaxVarintLen32, 0
	for name, values := range h {
		if len(values) == 0 {
			continue
		}
		names = append(names, name)
		lines += len(values)
		for _, v := range values {
			size += len(name) + len(v) + 2*binary.MaxVarintLen32
		}
	}
	if lines == 0 {
		return HeaderSection{}
	}
	slices.Sort(names)
	b := binary.AppendUvarint(slices.Grow(room[:0], size), uint64(lines))
	for _, name := range names {
		for _, v := range h[name] {
			b = appendString(appendName(b, name), v)
		}
	}
	return HeaderSection{string(b)}
}

// Len returns the number of field lines.
func (h HeaderSection) Len() int {
	n, _ := uvarint(h.packed)
	return int(n)
}

// Size returns the size of the section in bytes.
func (h HeaderSection) Size() int { return len(h.packed) }

// All yields the field lines, sorted by name. Lines of one name keep their order.
func (h HeaderSection) All() iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		n, rest := uvarint(h.packed)
		for ; n > 0; n-- {
			var name, value string
			name, rest = nameIn(rest)
			value, rest = lengthPrefixed(rest)
			if !yield(name, value) {
				return
			}
		}
	}
}

// Get returns the value of the first line named name (in canonical form), or "".
func (h HeaderSection) Get(name string) string {
	for n, v := range h.All() {
		if n == name {
			return v
		}
	}
	return ""
}

// Has reports whether there is a line named name (in canonical form).
func (h HeaderSection) Has(name string) bool {
	for n := range h.All() {
		if n == name {
			return true
		}
	}
	return false
}

// Values returns the values of all lines named name (in canonical form).
func (h HeaderSection) Values(name string) []string {
	var values []string
	for n, v := range h.All() {
		if n == name {
			values = append(values, v)
		}
	}
	return values
}

// CopyTo sets every field in dst and replaces the fields of the same names there. It allocates one
// slice for all values; the strings share the section's memory.
func (h HeaderSection) CopyTo(dst http.Header) { h.CopyWithRoom(dst, 0) }

// CopyWithRoom is CopyTo for callers who add fields afterwards: room, from the same allocation, has
// space for more values.
func (h HeaderSection) CopyWithRoom(dst http.Header, more int) (room []string) {
	n, rest := uvarint(h.packed)
	all := make([]string, int(n)+more)
	values, room := all[:n], all[n:]
	var name, next string
	from := 0 // where the values of name begin
	for i := range values {
		next, rest = nameIn(rest)
		values[i], rest = lengthPrefixed(rest)
		if next != name && i > 0 {
			// The capacity is cut, so that a later append does not overwrite the next field's
			// values.
			dst[name] = values[from:i:i]
			from = i
		}
		name = next
	}
	if n > 0 {
		dst[name] = values[from:n:n]
	}
	return room
}

// Header returns the section as a new map.
func (h HeaderSection) Header() http.Header {
	dst := make(http.Header, h.Len())
	h.CopyTo(dst)
	return dst
}

var errBadHeader = errors.New("cirque: damaged header section")

// check returns an error if packed is malformed or cannot be sent as it is. A name that is not a
// token, or CR, LF or NUL in a value, would let a tampered record split the response.
func (h HeaderSection) check() error {
	if h.packed == "" {
		return nil
	}
	n, rest, ok := checkedUvarint(h.packed)
	if !ok {
		return errBadHeader
	}
	for ; n > 0; n-- {
		var name, value string
		if name, rest, ok = checkedName(rest); !ok || !field.ValidName(name) {
			return errBadHeader
		}
		if value, rest, ok = checkedString(rest); !ok || !field.ValidValue(value) {
			return errBadHeader
		}
	}
	if rest != "" {
		return errBadHeader
	}
	return nil
}
