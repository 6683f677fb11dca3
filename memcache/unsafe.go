package memcache

import "unsafe"

// text returns b as a string. It is the only use of unsafe in this package. It is right because b
// is the heap memory that a hit has copied its meta into, which never changes again, and which the
// string keeps alive like any other.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
