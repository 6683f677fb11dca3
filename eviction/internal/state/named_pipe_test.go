//go:build linux

package state

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamedPipeIsDamage checks that a FIFO in the place of a part counts as damage. Opening it must
// not wait for its other end.
func TestNamedPipeIsDamage(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, Name(0)), 0o600))
	merged, err := OpenAll(dir)
	require.NoError(t, err)
	defer merged.Close()
	require.ErrorIs(t, merged.Err(), ErrDamaged)
}
