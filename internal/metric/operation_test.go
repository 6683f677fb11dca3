package metric

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOperationsAreReportedByName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o Operations
		began := time.Now()
		time.Sleep(3 * time.Second)
		o.Lookup.Since(began)
		o.Write.Took(time.Second)
		o.Write.Took(time.Second)
		o.Purge.Failed()
		s := o.Stats()
		require.Len(t, s, 4)
		require.EqualValues(t, 1, s["lookup"].Time.Count)
		require.InDelta(t, 3, s["lookup"].Time.Sum, 1e-6)
		require.EqualValues(t, 2, s["write"].Time.Count)
		require.InDelta(t, 2, s["write"].Time.Sum, 1e-6)
		require.EqualValues(t, 1, s["purge"].Errors)
		require.Zero(t, s["purge"].Time.Count)
		require.Zero(t, s["update"].Time.Count)
	})
}

func TestOneOfSixtyFourIsSampled(t *testing.T) {
	n := 0
	for range 1 << 20 {
		if Sampled() {
			n++
		}
	}
	require.InEpsilon(t, 1<<20/SampleRate, n, 0.1)
}

func BenchmarkSampled(b *testing.B) {
	for b.Loop() {
		Sampled()
	}
}
