package stats

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHistogramsAddAndSubtract(t *testing.T) {
	a := Histogram{Count: 3, Sum: 3, First: -4, Counts: []uint64{1, 2}}
	b := Histogram{Count: 5, Sum: 4, First: -6, Counts: []uint64{5}}
	sum := a.Plus(b)
	require.Equal(t, Histogram{Count: 8, Sum: 7, First: -6, Counts: []uint64{5, 0, 1, 2}}, sum)
	require.Equal(t, Histogram{Count: 3, Sum: 3, First: -6, Counts: []uint64{0, 0, 1, 2}}, sum.Minus(b))
	require.Equal(t, a, a.Plus(Histogram{}))
	require.Equal(t, a, Histogram{}.Plus(a))
	require.Zero(t, Histogram{}.Quantile(0.5))
}
