package middleware

import (
	"context"
	"net/http"
	"net/url"
)

// revalidationChain returns the handler to which a background revalidation of r is sent. It is nil
// if there is none; then clients wait, and this is logged once.
func (c *Cache) revalidationChain(r *http.Request) http.Handler {
	chain, why := c.chainOf(r)
	if why != "" {
		c.noChainLogged.Do(func() { c.logger().Warn("cirque: no background revalidation: " + why) })
	}
	return chain
}

// chainOf returns the handler through which a request like r comes from the start. It is nil if r
// has no such handler, or if the server adds values to its contexts that only
// Config.BackgroundContext can add to a new context; why says which.
func (c *Cache) chainOf(r *http.Request) (chain http.Handler, why string) {
	if c.cfg.Refresh != nil {
		return c.cfg.Refresh(r), ""
	}
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	switch {
	case server == nil || server == noServer:
		return nil, "the request has no *http.Server in its context; set Config.Refresh"
	case c.cfg.BackgroundContext == nil && (server.BaseContext != nil || server.ConnContext != nil):
		return nil, "the server has a BaseContext or a ConnContext; set Config.BackgroundContext or Config.Refresh"
	case server.Handler == nil:
		return http.DefaultServeMux, ""
	}
	return server.Handler, ""
}

// newRefreshRequest returns a GET like the one that the client of r sent, before routers and
// handlers around the cache changed its URL. header must already lack what only concerns this
// client.
func newRefreshRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	request := newBackgroundRequest(ctx, r, header)
	if original, err := url.ParseRequestURI(r.RequestURI); err == nil { // as a server parses it
		request.URL = original
	}
	return request
}

// newBackgroundRequest returns a GET like r, with the given header, and without the body and the
// context of r.
func newBackgroundRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	u := *r.URL
	request := &http.Request{
		Method: http.MethodGet, URL: &u, RequestURI: r.RequestURI, Host: r.Host, Header: header, Body: http.NoBody,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, RemoteAddr: r.RemoteAddr, TLS: r.TLS,
	}
	return request.WithContext(ctx)
}

// backgroundContext returns the context of work that outlives r. It ends with the cache.
func (c *Cache) backgroundContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(c.newContext(r))
	stop := context.AfterFunc(c.background, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// newContext returns a context with the values that a server gives its requests, for a request like
// r.
func (c *Cache) newContext(r *http.Request) context.Context {
	ctx := context.Background()
	if c.cfg.BackgroundContext != nil {
		ctx = c.cfg.BackgroundContext(r)
	}
	if server := r.Context().Value(http.ServerContextKey); server != nil {
		// Without this value, httputil.ReverseProxy would not abort a truncated answer.
		ctx = context.WithValue(ctx, http.ServerContextKey, server)
	}
	if addr := r.Context().Value(http.LocalAddrContextKey); addr != nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, addr)
	}
	return ctx
}

// noServer stands for a server that is not an http.Server, in the contexts of requests that
// handlers get from the cache. Without a server in the context, httputil.ReverseProxy ends a
// truncated answer as if it were whole.
var noServer = &http.Server{}

// withServer returns ctx with a value for http.ServerContextKey: its own, or noServer.
func withServer(ctx context.Context) context.Context {
	if ctx.Value(http.ServerContextKey) != nil {
		return ctx
	}
	return context.WithValue(ctx, http.ServerContextKey, noServer)
}

// endingWith is a context that ends with one context and has the values of another.
type endingWith struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c endingWith) Value(key any) any { return c.values.Value(key) }
