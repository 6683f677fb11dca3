//go:build cirque_check || race

package memcache

import (
	"errors"
	"syscall"
)

const checksUse = true

// mustNotFault panics if a Write has failed because the system could not read what it was given.
// Without this, memory that was freed too early would look like a client who has left.
func mustNotFault(err error) {
	if errors.Is(err, syscall.EFAULT) {
		panic("memcache: a body was freed while it was written")
	}
}

// spoil fills memory that somebody might still read, against the rules.
func spoil(b []byte) {
	for i := range b {
		b[i] = 0xdb
	}
}
