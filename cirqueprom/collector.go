package cirqueprom

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cirquecache/cirque/stats"
)

// Source is what has numbers to show: a *middleware.Cache, for one. Stats must be safe for
// concurrent use. The Name of its Snapshots must not change.
type Source interface {
	Stats() stats.Snapshot
}

// Named returns cache with another name, for the label cache. It is for a cache whose Config.Name
// cannot be unique, since clients see that in Cache-Status.
func Named(name string, cache Source) Source { return named{cache, name} }

type named struct {
	Source
	name string
}

// Stats implements Source.
func (n named) Stats() stats.Snapshot {
	s := n.Source.Stats()
	s.Name = n.name
	return s
}

// Collector is a prometheus.Collector of what one or several caches report. It is safe for
// concurrent use. It keeps nothing: a scrape takes one Snapshot of each cache.
//
// One registry takes one Collector, as all have the same metrics. If a program must have several,
// prometheus.WrapRegistererWith gives the metrics of each a label of their own.
type Collector struct {
	sources []Source
}

var _ prometheus.Collector = (*Collector)(nil)

// New returns a Collector of these caches. Two of them must not have the same name: set
// middleware.Config.Name, or use [Named].
func New(caches ...Source) (*Collector, error) {
	if len(caches) == 0 {
		return nil, errors.New("cirqueprom: no cache was given")
	}
	known := make(map[string]bool)
	for i, cache := range caches {
		if cache == nil {
			return nil, fmt.Errorf("cirqueprom: cache %d of %d is nil", i+1, len(caches))
		}
		name := cache.Stats().Name
		if known[name] {
			return nil, fmt.Errorf("cirqueprom: two caches have the name %q: give one of them another Config.Name, or use Named", name)
		}
		known[name] = true
	}
	return &Collector{sources: caches}, nil
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, f := range families {
		ch <- f.desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, source := range c.sources {
		s := source.Stats()
		for _, f := range families {
			f.collect(&s, ch)
		}
	}
}
