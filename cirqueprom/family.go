package cirqueprom

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cirquecache/cirque/stats"
)

// families are the metric families, in the order of docs/operate.md.
var families = append(requestFamilies(), storeFamilies()...)

// family is the metrics of one name.
type family struct {
	desc *prometheus.Desc
	kind prometheus.ValueType // of a family of numbers

	// One of these gives put each metric of the family, with the values of its labels but for the
	// first, the cache.
	numbers    func(s *stats.Snapshot, put func(value float64, labels ...string))
	histograms func(s *stats.Snapshot, put func(h stats.Histogram, labels ...string))
	bounds     []int // of the classic histogram: powers of two
}

type (
	putNumber    = func(value float64, labels ...string)
	putHistogram = func(h stats.Histogram, labels ...string)
)

func newDesc(name, help string, labels []string) *prometheus.Desc {
	return prometheus.NewDesc("cirque_"+name, help, append([]string{"cache"}, labels...), nil)
}

// labels are the names of a family's labels, but for the first, the cache.
type labels []string

func counter(name, help string, names labels, read func(*stats.Snapshot, putNumber)) *family {
	return &family{desc: newDesc(name, help, names), kind: prometheus.CounterValue, numbers: read}
}

func gauge(name, help string, names labels, read func(*stats.Snapshot, putNumber)) *family {
	return &family{desc: newDesc(name, help, names), kind: prometheus.GaugeValue, numbers: read}
}

func histogram(name, help string, names labels, bounds []int, read func(*stats.Snapshot, putHistogram)) *family {
	return &family{desc: newDesc(name, help, names), histograms: read, bounds: bounds}
}

// collect sends what s says to ch.
func (f *family) collect(s *stats.Snapshot, ch chan<- prometheus.Metric) {
	values := func(labels []string) []string {
		all := append(make([]string, 0, len(labels)+1), s.Name)
		for _, value := range labels {
			all = append(all, strings.ToValidUTF8(value, "?"))
		}
		return all
	}
	send := func(m prometheus.Metric, err error) {
		if err != nil {
			m = prometheus.NewInvalidMetric(f.desc, err)
		}
		ch <- m
	}
	if f.numbers != nil {
		f.numbers(s, func(value float64, labels ...string) {
			send(prometheus.NewConstMetric(f.desc, f.kind, value, values(labels)...))
		})
		return
	}
	f.histograms(s, func(h stats.Histogram, labels ...string) {
		send(newHistogram(f.desc, h, f.bounds, s.Since, values(labels)))
	})
}
