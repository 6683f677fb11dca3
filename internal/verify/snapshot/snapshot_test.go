package snapshot

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryNumberIsAnother(t *testing.T) {
	s, numbers := Full()
	require.NotZero(t, s.Fills.InFlight)
	require.NotNil(t, s.Eviction)
	paths, values := map[string]bool{}, map[float64]string{}
	for _, n := range numbers {
		require.False(t, paths[n.Path], "%s is there twice", n.Path)
		require.Empty(t, values[n.Value], "the value of %s", n.Path)
		require.NotZero(t, n.Value, n.Path)
		paths[n.Path], values[n.Value] = true, n.Path
	}
	require.True(t, paths["Requests.transport.bypass"])
	require.True(t, paths["Eviction.Age"])
}
