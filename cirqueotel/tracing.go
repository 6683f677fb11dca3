package cirqueotel

import (
	"context"
	"net/http"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/cirquecache/cirque"
)

// Tracing makes spans of what caches do for requests. It is safe for concurrent use. One may serve
// any number of caches.
type Tracing struct {
	tracer trace.Tracer
}

// NewTracing returns a Tracing whose spans go to provider. Nil is otel.GetTracerProvider().
func NewTracing(provider trace.TracerProvider) *Tracing {
	if provider == nil {
		provider = otel.GetTracerProvider()
	}
	return &Tracing{provider.Tracer(scope)}
}

// Handler returns a handler that calls next, which must be the Handler of a cache or have one
// inside, with a context that makes spans. What makes the span of the request, such as
// otelhttp.NewHandler, must be around it: without a span in the context, each span of the cache is
// a trace of its own.
func (t *Tracing) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := t.Context(r.Context())
		if ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// Transport returns a RoundTripper that calls next, which must be the Transport of a cache or have
// one inside, with a context that makes spans. What makes the span of the request, such as
// otelhttp.NewTransport, must be around it.
func (t *Tracing) Transport(next http.RoundTripper) http.RoundTripper { return &transport{t, next} }

type transport struct {
	tracing *Tracing
	next    http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.next.RoundTrip(r.WithContext(t.tracing.Context(r.Context())))
	if response != nil {
		response.Request = r
	}
	return response, err
}

// walkKey is that of the walk in a context.
type walkKey struct{}

// Context returns a context for one request, or for one call such as middleware.Cache.Purge, that
// makes spans: children of the span in ctx. If ctx makes spans already, as behind a Handler of a
// Tracing, Context returns ctx: of two caches, one behind the other, both report to the span around
// the first.
func (t *Tracing) Context(ctx context.Context) context.Context {
	if ctx.Value(walkKey{}) != nil {
		return ctx
	}
	w := &walk{tracing: t, ctx: ctx, span: trace.SpanFromContext(ctx)}
	return w.in(ctx)
}

// in returns ctx with the walk and its hooks.
func (w *walk) in(ctx context.Context) context.Context {
	return cirque.WithCacheTrace(context.WithValue(ctx, walkKey{}, w), w.hooks())
}
