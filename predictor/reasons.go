package predictor

import (
	"slices"
	"sync"

	"github.com/cirquecache/cirque"
)

// reasons are the codes of the reasons for which the slots of a bucket were marked. The bucket's
// lock guards them.
type reasons [ways]uint8

// of returns the code of s, which is a slot of b.
func (r *reasons) of(b *bucket, s *slot) *uint8 {
	i := 0
	for &b[i] != s {
		i++
	}
	return &r[i]
}

// names gives each reason a code. Reasons beyond the first 255 have the code zero, which is
// forgotten: custom ones have no bound.
type names struct {
	mu   sync.Mutex
	list []cirque.NoCacheReason // the reason with code n is at n-1
}

func (n *names) code(reason cirque.NoCacheReason) uint8 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if i := slices.Index(n.list, reason); i >= 0 {
		return uint8(i + 1)
	}
	if len(n.list) == 255 {
		return 0
	}
	n.list = append(n.list, reason)
	return uint8(len(n.list))
}

// name is the inverse of code. It is empty for zero.
func (n *names) name(code uint8) cirque.NoCacheReason {
	n.mu.Lock()
	defer n.mu.Unlock()
	if code == 0 {
		return ""
	}
	return n.list[code-1]
}
