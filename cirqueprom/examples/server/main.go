// Server is a small website with a cache in front of it, and its metrics for Prometheus at a second
// address, which clients of the website should not reach.
//
// Try, in a clone of the repository:
//
//	go run -C cirqueprom ./examples/server
//
//	curl -i http://127.0.0.1:8085/news        # twice: the second answer is a hit
//	curl -s http://127.0.0.1:9185/metrics | grep cirque_requests_total
//
// A Prometheus finds the metrics with this in its configuration:
//
//	scrape_configs:
//	  - job_name: cirque
//	    static_configs:
//	      - targets: ["127.0.0.1:9185"]
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/middleware"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8085", "where clients connect, an `address`")
	metrics := flag.String("metrics", "127.0.0.1:9185", "where Prometheus connects, an `address`")
	flag.Parse()
	site, numbers, err := newServers()
	if err != nil {
		log.Fatal(err)
	}
	forClients, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	forPrometheus, err := net.Listen("tcp", *metrics)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("the website: http://%s/news; its metrics: http://%s/metrics", forClients.Addr(), forPrometheus.Addr())
	go func() { log.Fatal(numbers.Serve(forPrometheus)) }()
	log.Fatal(site.Serve(forClients))
}

// newServers returns the server of the website and that of the metrics.
func newServers() (site, metrics *http.Server, err error) {
	cache, err := middleware.New(middleware.Config{Name: "website", MaxBytes: 64 << 20})
	if err != nil {
		return nil, nil, err
	}
	numbers, err := metricsHandler(cache)
	if err != nil {
		return nil, nil, err
	}
	site = &http.Server{Handler: cache.Handler(http.HandlerFunc(page)), ReadHeaderTimeout: 10 * time.Second}
	metrics = &http.Server{Handler: numbers, ReadHeaderTimeout: 10 * time.Second}
	return site, metrics, nil
}

// metricsHandler answers with the metrics of these caches, and of the process.
func metricsHandler(caches ...cirqueprom.Source) (http.Handler, error) {
	collector, err := cirqueprom.New(caches...)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector, collectors.NewGoCollector())
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), nil
}

// page is the website. It takes a moment, which a hit saves.
func page(w http.ResponseWriter, r *http.Request) {
	time.Sleep(50 * time.Millisecond)
	w.Header().Set("Cache-Control", "max-age=5, stale-while-revalidate=30")
	fmt.Fprintf(w, "%s, as of %s\n", r.URL.Path, time.Now().Format(time.TimeOnly))
}
