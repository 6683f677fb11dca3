package middleware

import (
	"errors"
	"fmt"
)

// SetMaxBytes changes Config.MaxBytes of a cache with the default Storage. It may be called at any
// time. A lower limit evicts at once, and the memory goes back to the system. The body that a client
// is being sent stays until the client has it. MaxObjectBytes stays as it was, so a much lower limit
// leaves large bodies uncached. The bookkeeping of entries, some 170 bytes each, is kept for later
// ones.
func (c *Cache) SetMaxBytes(n int64) error {
	c.mustBeNew()
	if c.cfg.Storage != nil {
		return errors.New("middleware: SetMaxBytes is for the default Storage; set the limit of the Budget of your own")
	}
	if n < MinMaxBytes {
		return fmt.Errorf("middleware: MaxBytes is %d, and nothing fits into less than %d", n, MinMaxBytes)
	}
	for _, budget := range c.opts.Budgets() {
		budget.SetLimit(n)
	}
	return nil
}
