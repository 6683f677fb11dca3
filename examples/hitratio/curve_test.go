package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/internal/mrc"
	"github.com/cirquecache/cirque/stats"
)

// traces are where docs/eviction.md has them: beside the repository.
const traces = "../../../shared/traces/*.csv.gz"

// TestCurveIsNearTheReplays compares the curve that a running cache estimates from a sample with
// replays of the whole trace at each of its sizes. CIRQUE_LONG makes it take the large traces too.
func TestCurveIsNearTheReplays(t *testing.T) {
	files, err := filepath.Glob(traces)
	require.NoError(t, err)
	if len(files) == 0 || testing.Short() || raceEnabled {
		t.Skip("there are no traces, or it is a short run, or one under the race detector: one goroutine does it all")
	}
	t.Log("trace, limit in percent of the distinct bytes, then for each size the hit ratio and the error of the estimate, in points, of requests/bytes")
	for _, file := range files {
		if info, err := os.Stat(file); err == nil && info.Size() > 1<<20 && os.Getenv("CIRQUE_LONG") == "" {
			continue
		}
		tr, err := openTrace(file)
		require.NoError(t, err)
		for _, percent := range []float64{1, 10} {
			limit := int64(percent / 100 * float64(tr.distinctBytes))
			requests, bytes := 0.0, 0.0
			for _, p := range estimate(t, tr, limit) {
				m, err := eviction.New(eviction.Default, p.Size)
				require.NoError(t, err)
				whole, err := replay(tr, m, p.Size, false, func(int) {})
				require.NoError(t, err)
				o, b := 100*p.HitRatio-whole.objectPercent(), 100*p.ByteHitRatio-whole.bytePercent()
				t.Logf("%s %g%% %12d: %5.2f %+5.2f / %5.2f %+5.2f", filepath.Base(file), percent, p.Size,
					whole.objectPercent(), o, whole.bytePercent(), b)
				requests += math.Abs(o) / 7
				bytes += math.Abs(b) / 7
			}
			t.Logf("%s %g%%: mean error %.2f / %.2f", filepath.Base(file), percent, requests, bytes)
			require.Less(t, requests, 2.0)
			require.Less(t, bytes, 2.0)
		}
	}
}

// estimate returns the curve after a replay of the trace by a cache of that limit.
func estimate(t *testing.T, tr *trace, limit int64) []stats.CurvePoint {
	var totals mrc.Totals
	e, err := mrc.New(mrc.Config{Limit: limit, MaxPerSecond: math.MaxInt, Totals: func() mrc.Totals { return totals }})
	require.NoError(t, err)
	m, err := eviction.New(eviction.Default, limit)
	require.NoError(t, err)
	resident := make(map[cirque.CompactCacheKey]bool)
	for _, r := range tr.requests {
		key, outcome := keyOf(r.key), mrc.Hit
		totals.Requests++
		totals.Bytes += uint64(r.size)
		if resident[key] {
			m.Access(key, r.size, time.Time{})
		} else {
			outcome = mrc.Missed
			totals.Missed++
			totals.MissedBytes += uint64(r.size)
			resident[key] = true
			for _, victim := range m.Admit(key, r.size, time.Time{}, 0) {
				delete(resident, victim)
			}
		}
		e.Observe(e.Hash(&key), mrc.Request{Outcome: outcome, Weight: r.size, Bytes: r.size})
	}
	curve := e.Curve()
	require.Len(t, curve, 7)
	return curve
}
