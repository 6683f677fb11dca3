package console

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/stats"
)

// counting returns the snapshot of a cache that had n hits, one each millisecond, and one fill.
func counting(at time.Time, n uint64) *stats.Snapshot {
	return &stats.Snapshot{
		At:        at,
		Requests:  map[stats.Door]map[stats.Result]uint64{stats.Handler: {stats.Hit: n}, stats.Transport: {stats.Miss: n / 2}},
		Bytes:     map[stats.Result]uint64{stats.Hit: 10 * n},
		FirstByte: map[stats.Result]stats.Histogram{stats.Hit: {Count: n, Sum: float64(n) / 1000, First: -40, Counts: []uint64{0, n, 0}}},
		Uncached:  map[string]uint64{"no-store": n},
		Fills:     stats.Fills{InFlight: 3, Readers: 4},
		Eviction:  &stats.Eviction{Evicted: n, Age: stats.Histogram{Count: n, Sum: float64(n), First: 0, Counts: []uint64{n}}},
		Storage:   []stats.Storage{{Name: "memory", Limit: 100, Entries: -1, Bytes: stats.StorageBytes{Entries: int64(n % 100), Index: -1}}},
	}
}

// A snapshot each second, for two hours: the history is bounded to an hour, has no gap, and loses
// nothing.
func TestHistoryIsBoundedAndLosesNothing(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var h history
	n := uint64(0)
	for second := range 7200 {
		n += uint64(second % 7)
		h.add(counting(start.Add(time.Duration(second)*time.Second), n))
	}
	end := start.Add(7199 * time.Second)
	points, last := h.since(time.Time{})
	require.Equal(t, end, last.At)
	require.LessOrEqual(t, len(points), 640)
	require.GreaterOrEqual(t, len(points), 625)
	require.WithinDuration(t, end.Add(-time.Hour), points[0].from, 2*coarseStep)
	sum := points[0]
	for i := 1; i < len(points); i++ {
		require.Equal(t, points[i-1].to, points[i].from, "there is no gap")
		sum = sum.then(points[i])
	}
	before := uint64(0) // at the begin of the history
	for second := range int(points[0].from.Sub(start)/time.Second) + 1 {
		before += uint64(second % 7)
	}
	want := n - before
	require.Equal(t, want, sum.requests[stats.Hit])
	require.InDelta(t, want/2, sum.requests[stats.Miss], 1)
	require.Equal(t, 10*want, sum.bytes[stats.Hit])
	require.Equal(t, want, sum.uncached["no-store"])
	require.Equal(t, want, sum.evicted)
	require.Equal(t, want, sum.age.Count)
	require.Equal(t, want, sum.firstByte[stats.Hit].Count)
	require.Len(t, sum.firstByte[stats.Hit].Counts, 1, "without empty buckets")
	require.EqualValues(t, 3, sum.inFlight)
	require.EqualValues(t, 100, sum.stores[0].limit)
	require.Zero(t, sum.stores[0].index, "unknown numbers are not shown as negative")
}

func TestHistoryIgnoresSnapshotsOfTheSameTime(t *testing.T) {
	var h history
	now := time.Now()
	h.add(counting(now, 1))
	h.add(counting(now, 1))
	points, last := h.since(time.Time{})
	require.Empty(t, points)
	require.NotNil(t, last)
}

func TestPlotsHaveSixtySteps(t *testing.T) {
	for _, test := range []struct{ chosen, known, length, step time.Duration }{
		{time.Minute, 0, time.Minute, time.Second},
		{time.Hour, 10 * time.Second, time.Minute, time.Second}, // little is known: the plot begins where that does
		{time.Hour, 2 * time.Minute, 2 * time.Minute, 2 * time.Second},
		{5 * time.Minute, time.Hour, 5 * time.Minute, 5 * time.Second},
		{15 * time.Minute, time.Hour, 15 * time.Minute, 15 * time.Second},
		{time.Hour, 24 * time.Hour, time.Hour, time.Minute},
	} {
		w := windowFor(test.chosen, test.known)
		require.Equal(t, window{test.length, test.step}, w)
		require.EqualValues(t, 60, w.length/w.step)
	}
}

// A point that lasts longer than a step counts in all of its steps, and the sum stays.
func TestLongPointsAreSpreadOverTheirSteps(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 1, 0, 0, time.UTC)
	var h history
	h.add(counting(now.Add(-10*time.Second), 0))
	h.add(counting(now, 1000))
	points, last := h.since(time.Time{})
	s := seriesOf(points, windowFor(time.Minute, 0), now, storeNames(last))
	require.Len(t, s.Times, 60)
	require.Equal(t, now.UnixMilli(), s.Times[59])
	for i := range 60 {
		if i < 50 {
			require.Equal(t, "null", string(must(s.Requests["hit"][i].MarshalJSON())), "nothing is known of step %d", i)
			continue
		}
		require.InDelta(t, 100, float64(s.Requests["hit"][i]), 0.001)
		require.InDelta(t, 2./3, float64(s.HitRatio[i]), 0.001)
		require.InDelta(t, 1, float64(s.ByteRatio[i]), 0.001)
		require.InDelta(t, stats.UpperBound(-39)*1000, float64(s.FirstByte["p50"]["hit"][i]), 0.001)
		require.EqualValues(t, 3, s.InFlight[i])
	}
	require.NotContains(t, s.Requests, "pass", "what did not occur is left out")
	require.Equal(t, "memory", s.Stores[0].Name)
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestHitRatioIsOfWhatIsForTheCache(t *testing.T) {
	amounts := [results]float64{stats.Hit: 3, stats.Stale: 1, stats.Miss: 2, stats.Pass: 2, stats.Bypass: 100, stats.Unanswered: 100}
	fromCache, all := hits(&amounts)
	require.Equal(t, 4., fromCache)
	require.Equal(t, 8., all)
}

func TestSentenceOfTheCurve(t *testing.T) {
	snapshot := func(ratios ...float64) *stats.Snapshot {
		s := &stats.Snapshot{Eviction: &stats.Eviction{Limit: 1000}}
		for i, r := range ratios {
			s.Curve = append(s.Curve, stats.CurvePoint{Size: 500 << i, HitRatio: r})
		}
		return s
	}
	require.Nil(t, curveOf(&stats.Snapshot{}))
	require.Equal(t, "Twice the memory: 71 % hits instead of 64 %. Half of it: 50 %.", curveOf(snapshot(0.5, 0.64, 0.711)).Sentence)
	require.Equal(t, "More memory would not help: it stays at 64 % hits. Half of it would do as well.", curveOf(snapshot(0.64, 0.641, 0.642)).Sentence)
	require.Empty(t, curveOf(snapshot(0.5)).Sentence, "without a point for today's limit")
	require.EqualValues(t, 1000, curveOf(snapshot(0.5)).Limit)
}
