// Package frameworks shows, as tests, how the cache works with common frameworks. It has no code
// besides the tests.
//
//   - http.ServeMux: the cache around it, around one of its patterns, and behind http.StripPrefix;
//   - chi: r.Use, r.With, and one cache in several mounted routers;
//   - gin: the cache around the engine, as a middleware of a route, and inside gin.WrapH;
//   - echo: the cache around it, and echo.WrapMiddleware in Pre, in Use and at a route;
//   - quic-go: HTTP/3, whose handler Config.Refresh must name;
//   - gzhttp: a compressing middleware around the cache, and behind it;
//   - oauth2: its transport around the cache's transport, as it should be, and behind it.
//
// Most tests have authentication and an access log around the handler, and a response that is
// revalidated in the background. The revalidation must get the same answer as a client's request.
package frameworks
