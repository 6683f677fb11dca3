package cirqueotel_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/cirqueotel"
	"github.com/cirquecache/cirque/middleware"
)

// house is a cache with spans around and below it, as a program has them: a span for each request
// of a client, in the context of which the cache gets it, and a client of the origin that sends the
// span of its context along.
type house struct {
	t        *testing.T
	cache    *middleware.Cache
	door     http.RoundTripper // to the cache
	provider *sdktrace.TracerProvider
	exporter *tracetest.InMemoryExporter
	tracing  *cirqueotel.Tracing
	lookups  atomic.Int32

	mu      sync.Mutex
	origins []trace.SpanContext // what the origin was sent, with each request
}

// eachDoor runs test with a cache at each door, in front of origin.
func eachDoor(t *testing.T, cfg middleware.Config, origin http.HandlerFunc, test func(t *testing.T, h *house)) {
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) { test(t, newHouse(t, door, cfg, origin)) })
	}
}

func newHouse(t *testing.T, door string, cfg middleware.Config, origin http.HandlerFunc) *house {
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	h := &house{t: t, provider: provider, exporter: exporter, tracing: cirqueotel.NewTracing(provider)}

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header))
		h.mu.Lock()
		h.origins = append(h.origins, trace.SpanContextFromContext(ctx))
		h.mu.Unlock()
		origin(w, r)
	}))
	t.Cleanup(server.Close)

	hooks := cirque.CacheTrace{}
	if cfg.Trace != nil {
		hooks = *cfg.Trace
	}
	require.Nil(t, hooks.LookupDone)
	hooks.LookupDone = func(cirque.TraceEvent) { h.lookups.Add(1) }
	cfg.Trace = &hooks

	var front http.Handler
	cfg.Refresh = func(*http.Request) http.Handler { return front }
	cache, err := middleware.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, cache.Close(ctx))
		require.NoError(t, provider.Shutdown(ctx))
	})
	h.cache = cache
	below := injecting{toServer{server}}
	if door == "transport" {
		h.door = h.tracing.Transport(cache.Transport(below))
		return h
	}
	front = h.tracing.Handler(cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := below.RoundTrip(r)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		defer response.Body.Close()
		for name, lines := range response.Header {
			w.Header()[name] = lines
		}
		w.WriteHeader(response.StatusCode)
		if _, err := io.Copy(w, response.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
	})))
	h.door = serving{front}
	return h
}

// injecting sends the span in the context of a request along.
type injecting struct{ next http.RoundTripper }

func (i injecting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	propagation.TraceContext{}.Inject(r.Context(), propagation.HeaderCarrier(r.Header))
	return i.next.RoundTrip(r)
}

// toServer sends all requests to one server.
type toServer struct{ server *httptest.Server }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.RequestURI = ""
	r.URL.Scheme, r.URL.Host = "http", s.server.Listener.Addr().String()
	return s.server.Client().Transport.RoundTrip(r)
}

// serving makes a RoundTripper of a handler.
type serving struct{ http.Handler }

func (s serving) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Result(), nil
}

// ask sends a request in a span of its own, reads the answer, and returns that span's context and
// the answer's body. It returns when the cache has done all that the request caused.
func (h *house) ask(method, path string, header ...string) (trace.SpanContext, string) {
	h.t.Helper()
	ctx, span := h.provider.Tracer("client").Start(h.t.Context(), "request")
	r := httptest.NewRequestWithContext(ctx, method, "http://example.com"+path, nil)
	r.Body = nil
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := h.door.RoundTrip(r)
	require.NoError(h.t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(h.t, err)
	require.NoError(h.t, response.Body.Close())
	if _, ok := h.door.(serving); !ok {
		require.Same(h.t, r, response.Request)
	}
	require.NoError(h.t, h.cache.Wait(h.t.Context()))
	span.End()
	return span.SpanContext(), string(body)
}

// twoAsk sends two requests for one URL, the second when the first one is at the origin, calls then
// when the second one waits for the first, and returns the contexts of their spans.
func (h *house) twoAsk(atOrigin <-chan struct{}, then func()) (first, second trace.SpanContext) {
	var clients sync.WaitGroup
	clients.Go(func() { first, _ = h.ask("GET", "/") })
	<-atOrigin
	before := h.lookups.Load()
	clients.Go(func() { second, _ = h.ask("GET", "/") })
	require.Eventually(h.t, func() bool { return h.lookups.Load() > before }, 10*time.Second, time.Millisecond)
	time.Sleep(20 * time.Millisecond) // from the lookup to the lock there is nothing to be seen
	then()
	clients.Wait()
	return first, second
}

// spans returns the spans that ended since the last call, in their order of beginning, but for
// those of the origin's client.
func (h *house) spans() (all []span) {
	for _, stub := range h.exporter.GetSpans() {
		all = append(all, span{stub})
	}
	h.exporter.Reset()
	return all
}

// sent returns the span contexts that the origin got since the last call.
func (h *house) sent() []trace.SpanContext {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.origins
	h.origins = nil
	return all
}

type span struct{ tracetest.SpanStub }

// get returns an attribute's value as text; empty if there is none.
func (s span) get(key string) string {
	for _, kv := range s.Attributes {
		if kv.Key == attribute.Key(key) {
			return kv.Value.String()
		}
	}
	return ""
}

func (s span) took() time.Duration { return s.EndTime.Sub(s.StartTime) }

// named returns the spans with this name.
func named(all []span, name string) (some []span) {
	for _, s := range all {
		if s.Name == name {
			some = append(some, s)
		}
	}
	return some
}

// one returns the only span with this name.
func one(t *testing.T, all []span, name string) span {
	t.Helper()
	some := named(all, name)
	require.Len(t, some, 1, "spans named %s", name)
	return some[0]
}

func requireChild(t *testing.T, s span, parent trace.SpanContext) {
	t.Helper()
	require.Equal(t, parent.SpanID(), s.Parent.SpanID(), "%s is a child", s.Name)
	require.Equal(t, parent.TraceID(), s.SpanContext.TraceID())
	require.Empty(t, s.Links)
}

func requireLinked(t *testing.T, s span, to trace.SpanContext) {
	t.Helper()
	require.False(t, s.Parent.IsValid(), "%s is a root", s.Name)
	require.NotEqual(t, to.TraceID(), s.SpanContext.TraceID())
	require.Len(t, s.Links, 1)
	require.Equal(t, to.SpanID(), s.Links[0].SpanContext.SpanID())
	require.Equal(t, to.TraceID(), s.Links[0].SpanContext.TraceID())
}
