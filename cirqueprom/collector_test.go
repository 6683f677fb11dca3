package cirqueprom_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/internal/verify/snapshot"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// leftOut are the numbers of a Snapshot that are not exported, and why.
var leftOut = map[string]string{
	"At":         "Prometheus has the time of a scrape",
	"Curve.Size": "it is the label size",
}

func TestEveryNumberOfASnapshotIsExported(t *testing.T) {
	full, numbers := snapshot.Full()
	values := map[float64]string{}
	labels := map[string]bool{}
	for name, family := range gather(t, fixed(full)) {
		for _, m := range family.Metric {
			for _, pair := range m.Label {
				labels[pair.GetValue()] = true
			}
			switch {
			case m.Counter != nil:
				values[m.Counter.GetValue()] = name
			case m.Gauge != nil:
				values[m.Gauge.GetValue()] = name
			case m.Histogram != nil && m.Histogram.GetSampleCount() > 0:
				values[float64(m.Histogram.GetSampleCount())] = name
				require.Equal(t, float64(m.Histogram.GetSampleCount())+0.5, m.Histogram.GetSampleSum(), name)
			}
		}
	}
	paths := map[string]bool{}
	for _, n := range numbers {
		paths[n.Path] = true
		if why := leftOut[n.Path]; why != "" {
			require.NotContains(t, values, n.Value, "%s is exported, though it is left out because %s", n.Path, why)
			continue
		}
		require.Contains(t, values, n.Value, "%s is not exported", n.Path)
	}
	for path := range leftOut {
		require.True(t, paths[path], "a Snapshot has no number %s", path)
	}
	for _, text := range []string{full.Name, full.Storage[0].Name, full.Eviction.Policy, full.Purges[0].Kind} {
		require.True(t, labels[text], "%q is in no label", text)
	}
	require.True(t, labels[fmt.Sprint(full.Curve[0].Size)])
}

func TestDescribeNamesEveryFamilyAndNoOther(t *testing.T) {
	full, _ := snapshot.Full()
	families := gather(t, fixed(full))
	for name, names := range described(t) {
		require.Contains(t, families, name)
		m := families[name].Metric[0]
		require.Equal(t, "cache", strings.Split(names, ",")[0])
		require.Len(t, m.Label, len(strings.Split(names, ",")))
		delete(families, name)
	}
	require.Empty(t, families, "families that Describe does not name")
}

func TestACacheCanBeScrapedAtOnce(t *testing.T) {
	s := serve(t, middleware.Config{Name: "site"}, fresh)
	families := gather(t, s.cache)
	for _, m := range families["cirque_requests_total"].Metric {
		require.Zero(t, m.Counter.GetValue())
		require.Equal(t, "site", label(m, "cache"))
	}
	require.Len(t, families["cirque_requests_total"].Metric, len(stats.Doors())*len(stats.Results()))
	require.Len(t, families["cirque_request_duration_seconds"].Metric, len(stats.Results()))
	require.NotEmpty(t, families["cirque_storage_errors_total"].Metric, "an alert needs the zero before the first error")
}

func TestRequestsAreCounted(t *testing.T) {
	s := serve(t, middleware.Config{}, fresh)
	for range 3 {
		s.get("/a")
	}
	require.NoError(t, s.cache.Wait(t.Context()))
	got := map[string]float64{}
	families := gather(t, s.cache)
	for _, m := range families["cirque_requests_total"].Metric {
		if n := m.Counter.GetValue(); n > 0 {
			got[label(m, "door")+" "+label(m, "result")] = n
		}
	}
	require.Equal(t, map[string]float64{"handler miss": 1, "handler hit": 2}, got)
	got = map[string]float64{}
	for _, m := range families["cirque_response_bytes_total"].Metric {
		got[label(m, "source")] += m.Counter.GetValue()
	}
	require.Equal(t, map[string]float64{"origin": 2, "cache": 4}, got)
}

func TestNamesOfCachesMustDiffer(t *testing.T) {
	a, b := serve(t, middleware.Config{}, fresh), serve(t, middleware.Config{}, fresh)
	_, err := cirqueprom.New(a.cache, b.cache)
	require.EqualError(t, err, `cirqueprom: two caches have the name "Cirque": give one of them another Config.Name, or use Named`)
	_, err = cirqueprom.New()
	require.Error(t, err)
	_, err = cirqueprom.New(nil)
	require.Error(t, err)

	b.get("/")
	families := gather(t, a.cache, cirqueprom.Named("assets", b.cache))
	got := map[string]float64{}
	for _, m := range families["cirque_requests_total"].Metric {
		got[label(m, "cache")] += m.Counter.GetValue()
	}
	require.Equal(t, map[string]float64{"Cirque": 0, "assets": 1}, got)
}

// quantile returns the upper bound of the native bucket of h in which the quantile q is.
func quantile(h *dto.Histogram, q float64) float64 {
	rank := uint64(math.Ceil(q * float64(h.GetSampleCount())))
	index, count, delta := 0, int64(0), 0
	var seen uint64
	for _, span := range h.PositiveSpan {
		index += int(span.GetOffset())
		for range span.GetLength() {
			count += h.PositiveDelta[delta]
			delta++
			if seen += uint64(count); seen >= rank {
				return stats.UpperBound(index)
			}
			index++
		}
	}
	return math.Inf(1)
}

func TestNativeAndClassicHistogramsSayTheSame(t *testing.T) {
	h := stats.Histogram{Count: 60, Sum: 7, First: -41, Counts: make([]uint64, 80)}
	for i := range 60 {
		h.Counts[i]++
	}
	h.Counts[3], h.Counts[4], h.Counts[5], h.Counts[6] = 0, 0, 0, 4
	for name, s := range map[string]stats.Snapshot{
		"some":  {Duration: map[stats.Result]stats.Histogram{stats.Hit: h}},
		"none":  {Duration: map[stats.Result]stats.Histogram{stats.Hit: {}}},
		"small": {Duration: map[stats.Result]stats.Histogram{stats.Hit: {Count: 1, Sum: 0, First: -80, Counts: []uint64{1}}}},
		"large": {Duration: map[stats.Result]stats.Histogram{stats.Hit: {Count: 1, Sum: 1e6, First: 80, Counts: []uint64{1}}}},
	} {
		t.Run(name, func(t *testing.T) {
			want := s.Duration[stats.Hit]
			got := gather(t, fixed(s))["cirque_request_duration_seconds"].Metric[0].Histogram
			require.Equal(t, want.Count, got.GetSampleCount())
			require.Equal(t, want.Sum, got.GetSampleSum())
			require.EqualValues(t, 2, got.GetSchema())
			require.Positive(t, got.GetZeroThreshold(), "else Prometheus 2.42 takes an empty histogram, and all of its family, for classic ones")
			if want.Count > 0 {
				for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 1} {
					require.Equal(t, want.Quantile(q), quantile(got, q), "quantile %v", q)
				}
			}
			require.Len(t, got.Bucket, 12)
			for _, bucket := range got.Bucket {
				var below uint64
				for i, n := range want.Counts {
					if stats.UpperBound(want.First+i) <= bucket.GetUpperBound() {
						below += n
					}
				}
				require.Equal(t, below, bucket.GetCumulativeCount(), "not beyond %v", bucket.GetUpperBound())
			}
		})
	}
}

func TestStoresMayKnowLittleAndHaveOneName(t *testing.T) {
	s := stats.Snapshot{Storage: []stats.Storage{
		{Name: "disk", Entries: -1, Limit: 0, Bytes: stats.StorageBytes{Entries: 5, Index: -1}},
		{Name: "disk", Entries: 3, Limit: 7, Operations: map[string]stats.Operation{"\xff": {Errors: 1}}},
	}}
	families := gather(t, fixed(s))
	require.Len(t, families["cirque_entries"].Metric, 1)
	require.Equal(t, "disk-2", label(families["cirque_entries"].Metric[0], "store"))
	require.Len(t, families["cirque_limit_bytes"].Metric, 1)
	require.Len(t, families["cirque_bytes"].Metric, 3+4)
	require.Equal(t, "?", label(families["cirque_storage_op_errors_total"].Metric[0], "op"))
	require.NotContains(t, families, "cirque_evicted_total", "there is no policy")
}

// The series that are zero before the first event have the labels that the event will have.
func TestKnownWordsAreThoseOfTheMiddleware(t *testing.T) {
	families := gather(t, fixed{Name: "x"})
	values := func(family, name string) (all []string) {
		for _, m := range families[family].Metric {
			all = append(all, label(m, name))
		}
		slices.Sort(all)
		return slices.Compact(all)
	}
	var operations []string
	files, err := filepath.Glob("../middleware/*.go")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, call := range regexp.MustCompile(`storageFailed\("([^"]+)"`).FindAllStringSubmatch(string(text), -1) {
			if !strings.HasSuffix(file, "_test.go") {
				operations = append(operations, call[1])
			}
		}
	}
	slices.Sort(operations)
	require.Equal(t, slices.Compact(operations), values("cirque_storage_errors_total", "op"))

	text, err := os.ReadFile("../middleware/stats.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(text), "func fillOutcome(")
	require.True(t, found)
	body, _, _ = strings.Cut(body, "\n}\n")
	var outcomes []string
	for _, word := range regexp.MustCompile(`return "([^"]+)"`).FindAllStringSubmatch(body, -1) {
		outcomes = append(outcomes, word[1])
	}
	slices.Sort(outcomes)
	require.Equal(t, outcomes, values("cirque_fills_total", "outcome"))
	require.Equal(t, []string{"age-timeout", "dangling", "done", "give-up", "transient-error", "upstream-error", "wait-timeout", "waiting"},
		values("cirque_lock_waits_total", "status"))
}

// What clients send adds no series.
func TestSeriesDoNotGrowWithHostsAndURLs(t *testing.T) {
	s := serve(t, middleware.Config{}, fresh)
	series := func() (n int) {
		for _, family := range gather(t, s.cache) {
			n += len(family.Metric)
		}
		return n
	}
	s.get("/", "Host", "first.example")
	require.NoError(t, s.cache.Wait(t.Context()))
	before := series()
	for i := range 1000 {
		s.get(fmt.Sprintf("/%d?q=%d", i, i), "Host", fmt.Sprintf("h%d.example", i), "Accept-Language", fmt.Sprint("x-", i))
	}
	require.NoError(t, s.cache.Wait(t.Context()))
	require.Equal(t, before, series())
}
