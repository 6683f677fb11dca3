package diskcache

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/storagetest"
)

// openTest opens a store and closes it at the end of the test.
func openTest(t testing.TB, dir string, config *Config) *Store {
	t.Helper()
	s, err := Open(dir, config)
	require.NoError(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStorage(t *testing.T) {
	for name, config := range map[string]*Config{
		"Default":     nil,
		"Sync":        {Sync: true},
		"VerifyReads": {VerifyReads: true},
	} {
		t.Run(name, func(t *testing.T) {
			if !long && config != nil {
				t.Skip("CIRQUE_LONG is not set")
			}
			storagetest.Run(t, func(t testing.TB) cirque.Storage { return openTest(t, t.TempDir(), config) }, storagetest.Features{
				Streaming: true,
				Seeking:   true,
				Budget: func(t testing.TB, budget *cirque.Budget) cirque.Storage {
					s, err := open(t.TempDir(), config, budget)
					require.NoError(t, err)
					t.Cleanup(func() { s.Close() })
					return s
				},
				Reopen: func(t testing.TB, storage cirque.Storage) cirque.Storage {
					s := storage.(*Store)
					require.NoError(t, s.Close())
					return openTest(t, s.root.dir, config)
				},
			})
		})
	}
}
