package cirqueotel

import (
	"context"
	"errors"
	"math"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// RequestTrace returns hooks that record the times of requests in histograms, for
// middleware.Config.Trace of the cache with this name. A nil provider is otel.GetMeterProvider().
//
// The histograms are cirque.request.duration and cirque.request.first_byte with the attribute
// cirque.result, and cirque.lock_wait.duration with cirque.status, all in seconds. Requests that
// the cache makes in the background are not recorded.
func RequestTrace(provider metric.MeterProvider, cache string) (*cirque.CacheTrace, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	meter := provider.Meter(scope)
	histogram := func(name, help string) (metric.Float64Histogram, error) {
		return meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(help),
			metric.WithExplicitBucketBoundaries(bounds...))
	}
	duration, err1 := histogram("cirque.request.duration", "Time from the request to the end of its answer.")
	firstByte, err2 := histogram("cirque.request.first_byte", "Time from the request to the header of its answer.")
	wait, err3 := histogram("cirque.lock_wait.duration", "Time of the waits for the fill of another request.")
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	var by [][]metric.RecordOption // by result, made once
	for _, result := range stats.Results() {
		by = append(by, []metric.RecordOption{attributesOf(cache, "result", result.String())})
	}
	return &cirque.CacheTrace{
		RequestDone: func(r stats.Request) {
			if r.Background {
				return
			}
			ctx := r.Request.Context()
			duration.Record(ctx, r.Duration.Seconds(), by[r.Result]...)
			if r.FirstByte > 0 {
				firstByte.Record(ctx, r.FirstByte.Seconds(), by[r.Result]...)
			}
		},
		LockWait: func(e cirque.TraceEvent) {
			wait.Record(context.Background(), e.Duration.Seconds(), attributesOf(cache, "status", word(e.LockStatus.String())))
		},
	}, nil
}

// bounds are the upper bounds of the buckets: from 61 µs to 16 s.
var bounds = func() (all []float64) {
	for _, power := range []float64{-14, -12, -10, -8, -6, -4, -3, -2, -1, 0, 2, 4} {
		all = append(all, math.Exp2(power))
	}
	return all
}()

// attributesOf returns the attributes of a measurement: the cache, and name, value pairs.
func attributesOf(cache string, pairs ...string) metric.MeasurementOption {
	all := []attribute.KeyValue{keyCache.String(cache)}
	for i := 0; i < len(pairs); i += 2 {
		all = append(all, attribute.String("cirque."+pairs[i], pairs[i+1]))
	}
	return metric.WithAttributeSet(attribute.NewSet(all...))
}
