package cirqueprom_test

import (
	"log"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/cirquecache/cirque/cirqueprom"
	"github.com/cirquecache/cirque/middleware"
)

func ExampleNew() {
	pages, err := middleware.New(middleware.Config{Name: "pages"})
	if err != nil {
		log.Fatal(err)
	}
	collector, err := cirqueprom.New(pages)
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(collector)
	http.Handle("/metrics", promhttp.Handler())
}
