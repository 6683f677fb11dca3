package eviction

import (
	"errors"
	"fmt"
)

// Config holds the settings that all policies share.
type Config struct {
	// Limit is the most bytes that the tracked entries may weigh together. It must be positive.
	Limit int64

	// MaxItems is the most entries that may be tracked. Zero means no such limit; a negative number
	// is an error.
	MaxItems int
}

func (c Config) validate() error {
	var errs []error
	if c.Limit <= 0 {
		errs = append(errs, fmt.Errorf("eviction: the limit is %d bytes; it must be positive", c.Limit))
	}
	if c.MaxItems < 0 {
		errs = append(errs, fmt.Errorf("eviction: MaxItems is %d; it must not be negative", c.MaxItems))
	}
	return errors.Join(errs...)
}
