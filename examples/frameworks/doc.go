// Package frameworks shows, as tests, how the cache works with what people build services from. It
// has no code of its own.
//
//   - http.ServeMux: the cache around it, around one of its patterns, and behind http.StripPrefix;
//   - chi: r.Use, r.With, and one cache in several mounted routers;
//   - gin: the cache around the engine, as a middleware of a route, and around a handler that gin.WrapH wraps;
//   - echo: the cache around it, and echo.WrapMiddleware in Pre, in Use and at a route;
//   - quic-go: HTTP/3, whose server Config.Refresh has to name;
//   - gzhttp: a compressing middleware around the cache, and behind it;
//   - oauth2: its transport around the cache's transport, which is the right way round, and behind it.
//
// Most of them have authentication and an access log around, and a response that is revalidated in
// the background: that has to bring what a request would.
package frameworks
