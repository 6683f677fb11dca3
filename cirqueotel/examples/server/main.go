// Server is a small website with a cache in front of it. It prints the spans of each request, and
// has its metrics as JSON at a second address.
//
// Try, in a clone of the repository:
//
//	go run -C cirqueotel ./examples/server
//
//	curl -i http://127.0.0.1:8086/news     # twice: the second answer is a hit, and has no cache.fill
//	sleep 6; curl -i http://127.0.0.1:8086/news     # stale, and revalidated in the background
//	curl -s http://127.0.0.1:9186/
//
// A real program has otelhttp.NewHandler where this one has traced, and exporters that send to a
// collector.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/middleware"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8086", "where clients connect, an `address`")
	metrics := flag.String("metrics", "127.0.0.1:9186", "where the metrics are, an `address`")
	flag.Parse()
	site, numbers, err := newServers(os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	forClients, err := net.Listen("tcp", *listen)
	if err != nil {
		log.Fatal(err)
	}
	forMetrics, err := net.Listen("tcp", *metrics)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("the website: http://%s/news; its metrics: http://%s/", forClients.Addr(), forMetrics.Addr())
	go func() { log.Fatal(numbers.Serve(forMetrics)) }()
	log.Fatal(site.Serve(forClients))
}

// newServers returns the server of the website, whose spans are printed to w, and that of the
// metrics.
func newServers(w io.Writer) (site, metrics *http.Server, err error) {
	spans := sdktrace.NewTracerProvider(sdktrace.WithSyncer(printer{w}))
	reader := sdkmetric.NewManualReader()
	numbers := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))

	hooks, err := cirqueotel.RequestTrace(numbers, "website")
	if err != nil {
		return nil, nil, err
	}
	cache, err := middleware.New(middleware.Config{Name: "website", Trace: hooks})
	if err != nil {
		return nil, nil, err
	}
	if _, err := cirqueotel.Observe(numbers, cache); err != nil {
		return nil, nil, err
	}
	tracing := cirqueotel.NewTracing(spans)
	handler := traced(spans, tracing.Handler(cache.Handler(http.HandlerFunc(page))))
	site = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	metrics = &http.Server{Handler: collected{reader}, ReadHeaderTimeout: 10 * time.Second}
	return site, metrics, nil
}

// page is the website. It takes a moment, which a hit saves.
func page(w http.ResponseWriter, r *http.Request) {
	time.Sleep(50 * time.Millisecond)
	w.Header().Set("Cache-Control", "max-age=5, stale-while-revalidate=30")
	fmt.Fprintf(w, "%s, as of %s\n", r.URL.Path, time.Now().Format(time.TimeOnly))
}

// traced makes a span of each request, as otelhttp does.
func traced(provider trace.TracerProvider, next http.Handler) http.Handler {
	tracer := provider.Tracer("website")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := tracer.Start(r.Context(), "GET", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// printer prints spans, one a line.
type printer struct{ w io.Writer }

// ExportSpans implements sdktrace.SpanExporter.
func (p printer) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	for _, s := range spans {
		var line strings.Builder
		fmt.Fprintf(&line, "%-16s %8s  span %s", s.Name(), s.EndTime().Sub(s.StartTime()).Round(time.Microsecond), s.SpanContext().SpanID())
		if s.Parent().IsValid() {
			fmt.Fprintf(&line, " of %s", s.Parent().SpanID())
		}
		for _, link := range s.Links() {
			fmt.Fprintf(&line, " linked to %s", link.SpanContext.SpanID())
		}
		for _, kv := range s.Attributes() {
			fmt.Fprintf(&line, " %s=%s", kv.Key, kv.Value.String())
		}
		if _, err := fmt.Fprintln(p.w, line.String()); err != nil {
			return err
		}
	}
	return nil
}

// Shutdown implements sdktrace.SpanExporter.
func (printer) Shutdown(context.Context) error { return nil }

// collected answers with the metrics of now.
type collected struct{ reader *sdkmetric.ManualReader }

// ServeHTTP implements http.Handler.
func (c collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var all metricdata.ResourceMetrics
	if err := c.reader.Collect(r.Context(), &all); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(all.ScopeMetrics) // the client has left
}
