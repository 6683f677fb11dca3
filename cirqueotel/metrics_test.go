package cirqueotel_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/internal/verify/snapshot"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// fixed is a Source whose numbers are given.
type fixed stats.Snapshot

func (f fixed) Stats() stats.Snapshot { return stats.Snapshot(f) }

// collect returns what the reader gets, by name.
func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	byName := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		require.Equal(t, "github.com/cirquecache/cirque/cirqueotel", scope.Scope.Name)
		for _, m := range scope.Metrics {
			require.NotEmpty(t, m.Description, m.Name)
			require.NotEmpty(t, m.Unit, m.Name)
			byName[m.Name] = m
		}
	}
	return byName
}

// points returns the values of a metric by the values of their attributes. Those of a histogram are
// its counts.
func points(m metricdata.Metrics) map[string]float64 {
	values := make(map[string]float64)
	text := func(set attribute.Set) (s string) {
		for _, kv := range set.ToSlice() { // ordered by key
			s += fmt.Sprint(" ", kv.Value.String())
		}
		return s
	}
	switch data := m.Data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			values[text(p.Attributes)] = float64(p.Value)
		}
	case metricdata.Sum[float64]:
		for _, p := range data.DataPoints {
			values[text(p.Attributes)] = p.Value
		}
	case metricdata.Gauge[float64]:
		for _, p := range data.DataPoints {
			values[text(p.Attributes)] = p.Value
		}
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			values[text(p.Attributes)] = float64(p.Count)
		}
	}
	return values
}

// leftOut are the numbers of a Snapshot that Observe does not have, and why.
func leftOut(path string) string {
	switch path {
	case "At":
		return "a collection has its time"
	case "Curve.Size":
		return "it is the attribute size"
	}
	for _, r := range stats.Results() {
		if path == "FirstByte."+r.String() || path == "Duration."+r.String() {
			return "RequestTrace records each"
		}
	}
	return ""
}

func TestEveryNumberOfASnapshotIsObserved(t *testing.T) {
	full, numbers := snapshot.Full()
	reader := sdkmetric.NewManualReader()
	_, err := cirqueotel.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), fixed(full))
	require.NoError(t, err)
	values := map[float64]string{}
	for name, m := range collect(t, reader) {
		for _, v := range points(m) {
			values[v] = name
		}
	}
	for _, n := range numbers {
		if why := leftOut(n.Path); why != "" {
			require.NotContains(t, values, n.Value, "%s is observed, though it is left out because %s", n.Path, why)
			continue
		}
		require.Contains(t, values, n.Value, "%s is not observed", n.Path)
		if n.Histogram != nil && n.Path != "LockWaits.Time" { // RequestTrace records each wait
			require.Contains(t, values, n.Histogram.Sum, "the sum of %s is not observed", n.Path)
		}
	}
}

func TestMetricsOfACache(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	hooks, err := cirqueotel.RequestTrace(provider, "site")
	require.NoError(t, err)
	cache, err := middleware.New(middleware.Config{Name: "site", Trace: hooks})
	require.NoError(t, err)
	registration, err := cirqueotel.Observe(provider, cache)
	require.NoError(t, err)
	door := cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(20 * time.Millisecond)
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, "body")
	}))
	for range 3 {
		door.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		require.NoError(t, cache.Wait(t.Context()))
	}
	all := collect(t, reader)
	requests := points(all["cirque.requests"])
	require.Equal(t, 1.0, requests[" site handler miss"])
	require.Equal(t, 2.0, requests[" site handler hit"])
	require.Equal(t, 8.0, points(all["cirque.response.bytes"])[" site hit cache"])
	require.Equal(t, 4.0, points(all["cirque.fills.bytes"])[" site"])
	require.Equal(t, map[string]float64{" site hit": 2, " site miss": 1}, points(all["cirque.request.duration"]))
	require.Equal(t, map[string]float64{" site hit": 2, " site miss": 1}, points(all["cirque.request.first_byte"]))
	for _, p := range all["cirque.request.first_byte"].Data.(metricdata.Histogram[float64]).DataPoints {
		if value, _ := p.Attributes.Value("cirque.result"); value.AsString() == "miss" {
			require.GreaterOrEqual(t, p.Sum, 0.02)
			require.Less(t, p.Sum, 1.0)
		} else {
			require.Less(t, p.Sum, 0.02)
		}
		require.Len(t, p.Bounds, 12)
	}
	require.NoError(t, registration.Unregister())
	require.NotContains(t, collect(t, reader), "cirque.requests")
	require.NoError(t, cache.Close(t.Context()))
}

func TestLockWaitsAreRecorded(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	hooks, err := cirqueotel.RequestTrace(provider, "Cirque")
	require.NoError(t, err)
	asked, header := make(chan struct{}), make(chan struct{})
	h := newHouse(t, "handler", middleware.Config{Trace: hooks}, func(w http.ResponseWriter, r *http.Request) {
		close(asked)
		<-header
		w.Header().Set("Cache-Control", "max-age=60")
	})
	h.twoAsk(asked, func() { close(header) })
	all := collect(t, reader)
	require.Equal(t, map[string]float64{" Cirque done": 1}, points(all["cirque.lock_wait.duration"]))
}

// A background revalidation is no request.
func TestRevalidationsInTheBackgroundAreNotRecorded(t *testing.T) {
	for _, door := range []string{"handler", "transport"} {
		reader := sdkmetric.NewManualReader()
		hooks, err := cirqueotel.RequestTrace(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), "Cirque")
		require.NoError(t, err)
		h := newHouse(t, door, middleware.Config{Trace: hooks}, validated("max-age=10, stale-while-revalidate=600"))
		h.ask("GET", "/")
		h.ask("GET", "/")
		require.Equal(t, map[string]float64{" Cirque miss": 1, " Cirque stale": 1}, points(collect(t, reader)["cirque.request.duration"]))
	}
}

func TestNamesOfCachesMustDiffer(t *testing.T) {
	provider := sdkmetric.NewMeterProvider()
	defer func() { require.NoError(t, provider.Shutdown(context.Background())) }()
	_, err := cirqueotel.Observe(provider, fixed{Name: "a"}, fixed{Name: "a"})
	require.EqualError(t, err, `cirqueotel: two caches have the name "a": give one of them another Config.Name`)
	_, err = cirqueotel.Observe(provider, nil)
	require.Error(t, err)
}

// A Storage that knows little is no reason for wrong numbers.
func TestStoresMayKnowLittleAndHaveOneName(t *testing.T) {
	reader := sdkmetric.NewManualReader()
	_, err := cirqueotel.Observe(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), fixed{Name: "x", Storage: []stats.Storage{
		{Name: "disk", Entries: -1, Bytes: stats.StorageBytes{Entries: 5, Index: -1}},
		{Name: "disk", Entries: 3, Limit: 7},
	}})
	require.NoError(t, err)
	all := collect(t, reader)
	require.Equal(t, map[string]float64{" x disk-2": 3}, points(all["cirque.store.entries"]))
	require.Equal(t, map[string]float64{" x disk-2": 7}, points(all["cirque.store.limit"]))
	require.Len(t, points(all["cirque.store.bytes"]), 3+4)
	require.NotContains(t, all, "cirque.evicted.count")
}
