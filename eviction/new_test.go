package eviction_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/eviction"
)

func TestNew(t *testing.T) {
	require.Contains(t, eviction.Names(), eviction.Default)
	require.True(t, slices.IsSorted(eviction.Names()))
	for _, name := range append(eviction.Names(), "") {
		m, err := eviction.New(name, 100)
		require.NoError(t, err, name)
		require.Zero(t, m.TotalItems(), name)

		m, err = eviction.New(name, 0)
		require.ErrorContains(t, err, "must be positive", name)
		require.Nil(t, m, name)
	}
	_, err := eviction.New("mru", 100)
	require.ErrorContains(t, err, `no policy "mru"`)
	require.ErrorContains(t, err, "simple-lru")
}
