// Package unzeroed allocates memory without zeroing it, for buffers that are written before they
// are read.
package unzeroed

import (
	"strings"
	"unsafe"
)

// Make returns an empty slice of capacity n, which must be at least one. The memory beyond its
// length holds arbitrary old bytes, so only appended bytes may be shown to others.
func Make(n int) []byte {
	var b strings.Builder // the only way in the standard library to get such memory
	b.Grow(n)
	b.WriteByte(0) // gives the memory an address
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}
