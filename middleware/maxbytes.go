package middleware

import (
	"errors"
	"fmt"

	"github.com/cirquecache/cirque"
)

// SetMaxBytes changes Config.MaxBytes of a cache with the default Storage. It may be called at any
// time. A lower limit evicts at once, and the memory goes back to the system. A body that a client
// is being sent stays until the client has it. MaxObjectBytes stays as it is, so large bodies may
// no longer be stored under a much lower limit. The bookkeeping of entries, some 170 bytes each, is
// kept for later ones. The miss-ratio curve of Stats begins anew.
func (c *Cache) SetMaxBytes(n int64) error {
	c.mustBeNew()
	if c.cfg.Storage != nil {
		return errors.New("middleware: SetMaxBytes is for the default Storage; set the limit of the Budget of your own")
	}
	if n < MinMaxBytes {
		return fmt.Errorf("middleware: MaxBytes is %d; it must be at least %d", n, MinMaxBytes)
	}
	c.resizing.Lock()
	defer c.resizing.Unlock()
	if n == limitOf(c.budgets) {
		return nil
	}
	for _, budget := range c.budgets {
		budget.SetLimit(n)
	}
	c.curve.Store(newCurve(c.opts))
	return nil
}

// limitOf returns how many bytes a Storage with these budgets can hold now; zero means no limit.
func limitOf(budgets []*cirque.Budget) (limit int64) {
	for _, budget := range budgets {
		if budget.Limit() <= 0 {
			return 0
		}
		limit = max(limit, budget.Limit())
	}
	return limit
}
