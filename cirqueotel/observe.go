package cirqueotel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/cirquecache/cirque/stats"
)

// Source is what has numbers to show: a *middleware.Cache, for one. Stats must be safe for
// concurrent use. The Name of its Snapshots must not change.
type Source interface {
	Stats() stats.Snapshot
}

// Observe registers instruments for the numbers of these caches. Each collection takes one Snapshot
// of each cache. Two caches must not have the same name: set middleware.Config.Name. A nil provider
// is otel.GetMeterProvider(). Unregister ends it.
func Observe(provider metric.MeterProvider, caches ...Source) (metric.Registration, error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	known := make(map[string]bool)
	for i, cache := range caches {
		if cache == nil {
			return nil, fmt.Errorf("cirqueotel: cache %d of %d is nil", i+1, len(caches))
		}
		name := cache.Stats().Name
		if known[name] {
			return nil, fmt.Errorf("cirqueotel: two caches have the name %q: give one of them another Config.Name", name)
		}
		known[name] = true
	}
	meter := provider.Meter(scope)
	all := instruments()
	made := make([]metric.Observable, len(all))
	var errs []error
	for i := range all {
		if err := all[i].make(meter); err != nil {
			errs = append(errs, err)
		}
		made[i] = all[i].observable
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for _, cache := range caches {
			s := cache.Stats()
			for i := range all {
				all[i].observe(o, &s)
			}
		}
		return nil
	}, made...)
}

// put takes a number, and the names and values of its attributes but for the cache.
type put func(value float64, pairs ...string)

// instrument is one observable instrument.
type instrument struct {
	name, unit, help string
	kind             kind
	read             func(s *stats.Snapshot, put put)

	observable metric.Observable
	whole      metric.Int64Observable   // the same; one of these two
	fraction   metric.Float64Observable // is set
}

// kind is that of an instrument.
type kind uint8

const (
	counter kind = iota // only grows; whole numbers
	sum                 // only grows; seconds or another sum that has fractions
	gauge               // grows and falls; sums of it make sense; whole numbers
	value               // grows and falls; sums of it make none
)

// make makes the instrument.
func (i *instrument) make(meter metric.Meter) (err error) {
	unit, help := metric.WithUnit(i.unit), metric.WithDescription(i.help)
	switch i.kind {
	case counter:
		var c metric.Int64ObservableCounter
		c, err = meter.Int64ObservableCounter(i.name, unit, help)
		i.observable, i.whole = c, c
	case sum:
		var c metric.Float64ObservableCounter
		c, err = meter.Float64ObservableCounter(i.name, unit, help)
		i.observable, i.fraction = c, c
	case gauge:
		var c metric.Int64ObservableUpDownCounter
		c, err = meter.Int64ObservableUpDownCounter(i.name, unit, help)
		i.observable, i.whole = c, c
	default:
		var c metric.Float64ObservableGauge
		c, err = meter.Float64ObservableGauge(i.name, unit, help)
		i.observable, i.fraction = c, c
	}
	return err
}

// observe tells o what s says.
func (i *instrument) observe(o metric.Observer, s *stats.Snapshot) {
	i.read(s, func(v float64, pairs ...string) {
		attributes := attributesOf(s.Name, pairs...)
		if i.whole != nil {
			o.ObserveInt64(i.whole, int64(v), attributes)
		} else {
			o.ObserveFloat64(i.fraction, v, attributes)
		}
	})
}

// word returns name, which has capitals within, as other values are: in lower case, with hyphens.
func word(name string) string {
	var b strings.Builder
	for i, r := range name {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('-')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
