package eviction

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction/internal/table"
)

// GDSF evicts what is worth least for its size: the policy called Greedy-Dual-Size-Frequency, with a knob and a memory.
//
// An entry's priority is the clock at its last use plus uses / size^Alpha, and the clock is the highest priority that was
// evicted. So entries earn their stay by use, small ones for longer, and all of them lose it as the clock
// goes on. A newcomer whose priority is lower than every entry's it would have to replace is declined; this only happens
// while there is no room. The uses of evicted and declined entries are remembered,
// for about twice as many keys as are tracked, and count again when the key comes back.
//
// Of a stale entry a use counts a sixteenth: such entries go first, unless they are asked for so often that it is worth keeping
// them to be revalidated.
//
// A hit takes no lock: it notes use and clock in the entry. The order is one heap, which learns of it
// when the entry reaches the top. So what lowers a priority, such as a growing weight, also shows only then.
type GDSF struct{ manager }

var _ cirque.EvictionManager = (*GDSF)(nil)

// GDSFConfig holds what a [GDSF] is told.
type GDSFConfig struct {
	Config

	// Alpha says how much size counts against an entry, from 0 (not at all) to 1 (a use of a small
	// entry counts as much more as it is smaller). Lower values raise the share of bytes that hit, higher ones
	// the share of requests. Zero means 0.35; a negative number means 0.
	Alpha float64

	// CostWeight says how much the time an entry took to fetch, when it was admitted, counts for it: a use is multiplied by
	// (cost / 100 ms)^CostWeight, where cost is known, within 1 ms and 10 s. Zero, the default, ignores costs; 1 is the
	// most.
	CostWeight float64
}

const defaultAlpha = 0.35

// NewGDSF returns an empty GDSF, or an error where c is invalid.
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
