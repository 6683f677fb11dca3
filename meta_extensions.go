package cirque

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// Extension returns the value that SetExtension stored under name.
func (m *CacheMeta) Extension(name string) (value string, ok bool) {
	for n, v := range m.allExtensions() {
		if n == name {
			return v, true
		}
	}
	return "", false
}

// SetExtension stores value under name. An empty value removes the extension. Users of the library
// may store what they need at a hit; names that start with "cirque." are the library's own.
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

// allExtensions yields the extensions, sorted by name.
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

func checkExtensions(s string) error {
	for part := 0; s != "" || part%2 != 0; part++ {
		n, rest, ok := checkedUvarint(s)
		if !ok || n > uint64(len(rest)) {
			return fmt.Errorf("%w: damaged extensions", ErrBadMeta)
		}
		s = rest[n:]
	}
	return nil
}
