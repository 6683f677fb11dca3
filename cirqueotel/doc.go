// Package cirqueotel makes OpenTelemetry metrics and spans of what caches do. It is a module of its
// own, so that Cirque does not need OpenTelemetry; it needs the API alone, and no SDK.
//
// # Metrics
//
// [Observe] has the numbers of middleware.Cache.Stats as observable instruments. OpenTelemetry has
// no observable histogram, so the times of requests come from [RequestTrace], which records each.
// What only the cache itself measures (the times of a store's operations, the age of what is
// evicted, the variants of a URL) is there as a count and a sum, which give the mean.
//
// Names begin with "cirque.", those of attributes too. No attribute of a metric comes from a
// request.
//
// # Spans
//
// [Tracing] wraps a cache at its Handler or its Transport. The span of the request is made by
// others, such as otelhttp, around the wrapper; it gets attributes that say what the cache did. Its
// children are:
//
//   - cache.lookup: a lookup in the Storage;
//   - cache.lock_wait: a wait for the fill of another request;
//   - cache.revalidate: from asking the origin, to validate a stored response, to its header;
//   - cache.purge: a purge of one key.
//
// Two begin a trace of their own, since they outlive the request, and have a link to its span:
//
//   - cache.fill: from the header of a response to its end, while it is being stored;
//   - cache.revalidate: a revalidation in the background.
//
// The requests that the cache sends to the origin have a context with the span of the request that
// caused them, or with that of the background revalidation. An instrumented client below the cache
// finds it there.
//
// # Files
//
//   - tracing.go: the wrappers
//   - walk.go: the hooks that make the spans
//   - attributes.go: the names of attributes
//   - observe.go: the observable instruments, and the callback that reads them
//   - instruments.go: what each of them is
//   - requests.go: the histograms of requests
package cirqueotel
