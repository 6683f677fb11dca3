package eviction

import (
	"context"
	"errors"
)

func (m *manager) Save(ctx context.Context, dir string) error { return errors.ErrUnsupported }
func (m *manager) Load(ctx context.Context, dir string) error { return errors.ErrUnsupported }
