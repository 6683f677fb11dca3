package cirqueotel_test

import (
	"log"
	"net/http"

	"go.opentelemetry.io/otel"

	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/middleware"
)

func Example() {
	var site http.Handler

	hooks, err := cirqueotel.RequestTrace(otel.GetMeterProvider(), "pages")
	if err != nil {
		log.Fatal(err)
	}
	pages, err := middleware.New(middleware.Config{Name: "pages", Trace: hooks})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := cirqueotel.Observe(otel.GetMeterProvider(), pages); err != nil {
		log.Fatal(err)
	}
	tracing := cirqueotel.NewTracing(otel.GetTracerProvider())
	handler := tracing.Handler(pages.Handler(site)) // and otelhttp.NewHandler around it
	http.Handle("/", handler)
}
