// Package unzeroed makes memory that is not zeroed first, for what is overwritten before anybody reads it.
package unzeroed

import (
	"strings"
	"unsafe"
)

// Make returns an empty slice of capacity n, at least one. What it holds beyond its length is whatever was there, so
// only what was appended may be shown to others.
func Make(n int) []byte {
	var b strings.Builder // the one way to such memory that the standard library leaves open
	b.Grow(n)
	b.WriteByte(0) // gives the memory an address
	return unsafe.Slice(unsafe.StringData(b.String()), n)[:0]
}
