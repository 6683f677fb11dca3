package eviction

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// GDSF evicts the entry that is worth least for its size. It is the policy
// Greedy-Dual-Size-Frequency with an adjustable influence of size and a memory of evicted entries.
//
// An entry's priority is the clock at its last use plus uses / size^Alpha. The clock is the highest
// priority that was evicted. So entries earn their stay by use, small ones for longer, and all of
// them lose it as the clock advances. If there is no room, a newcomer is declined if it would have
// to replace an entry of higher priority. The uses of evicted and declined entries are remembered,
// for about twice as many keys as are tracked, and count again when the key comes back.
//
// A use of a stale entry counts a sixteenth. So stale entries leave first, unless they are
// requested so often that keeping them for revalidation is worth the room.
//
// A hit takes no lock: it stores uses and clock in the entry. The order is one heap, which reads
// these when the entry reaches the top. So a change that lowers a priority, such as a growing
// weight, also takes effect only then.
type GDSF struct{ manager }

var _ cirque.EvictionManager = (*GDSF)(nil)

// GDSFConfig holds the settings of a [GDSF].
type GDSFConfig struct {
	Config

	// Alpha says how much size counts against an entry. With 0 it does not count; with 1 the value
	// of a use is inversely proportional to the size. Lower values raise the share of bytes that
	// hit, higher ones the share of requests. Zero means 0.35; a negative number means 0.
	Alpha float64

	// CostWeight says how much the time that an entry took to fetch counts in its favour. A use is
	// multiplied by (cost / 100 ms)^CostWeight. cost is the time given on admission, taken as 1 ms
	// if it is less and as 10 s if it is more; an unknown cost changes nothing. Zero, the default,
	// ignores costs; 1 is the most.
	CostWeight float64
}

const defaultAlpha = 0.35

// NewGDSF returns an empty GDSF, or an error if c is invalid.
func NewGDSF(c GDSFConfig) (*GDSF, error) {
	switch {
	case c.Alpha == 0:
		c.Alpha = defaultAlpha
	case c.Alpha < 0:
		c.Alpha = 0
	}
	var errs []error
	if !(c.Alpha <= 1) {
		errs = append(errs, fmt.Errorf("eviction: Alpha is %v; it must not be above 1", c.Alpha))
	}
	if !(c.CostWeight >= 0 && c.CostWeight <= 1) {
		errs = append(errs, fmt.Errorf("eviction: CostWeight is %v; it must be from 0 to 1", c.CostWeight))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	g := &GDSF{manager{name: "gdsf"}}
	if err := g.init(c.Config, 1, func(t *table.Table) order { return newPriority(t, c) }); err != nil {
		return nil, err
	}
	return g, nil
}
