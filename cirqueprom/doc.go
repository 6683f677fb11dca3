// Package cirqueprom shows Prometheus what caches do: a prometheus.Collector over the numbers of
// middleware.Cache.Stats. It is a module of its own, so that Cirque does not need the client
// library of Prometheus.
//
//	collector, err := cirqueprom.New(pages, assets)
//	…
//	prometheus.MustRegister(collector)
//
// # Metrics
//
// All names begin with cirque_. All series have the label cache, the name of the cache. The other
// labels have few values: none comes from a request. docs/operate.md lists the metrics, and says
// what to do when one of them moves.
//
// Counters begin with the cache, and series for what has not happened yet are zero from the start
// where the values of their labels are known, so that increase() sees the first event.
//
// Each histogram is given both as a native histogram, with the buckets of the cache, and as a
// classic one, with a dozen of them. A Prometheus takes one or the other, as it is configured. The
// classic bounds are bounds of the native buckets too, so no count is an estimate.
//
// # Files
//
//   - collector.go: the Collector, and the names of caches
//   - family.go: what a metric family is, and how it becomes metrics
//   - requests.go: the families about requests and what they led to
//   - stores.go: the families about what is stored
//   - histogram.go: a stats.Histogram as a metric
//
// Beside them are alerts.yml, the rules for alerts, and dashboard.json, for Grafana.
package cirqueprom
