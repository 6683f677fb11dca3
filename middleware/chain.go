package middleware

import (
	"context"
	"net/http"
	"net/url"
)

// surroundings returns the handler that a background revalidation of r goes through; nil where
// there is none, and clients wait, which is logged once.
func (c *Cache) surroundings(r *http.Request) http.Handler {
	chain, why := c.chainOf(r)
	if why != "" {
		c.waitsSaid.Do(func() { c.logger().Warn("cirque: no background revalidation: " + why) })
	}
	return chain
}

// chainOf returns the handler that a request like r goes through from the start. It is nil where r
// has no such handler, or the server adds values to its contexts that only Config.BackgroundContext
// can add to a new one.
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
// handlers around the cache changed its URL. Its header must have lost the client's own wishes.
func newRefreshRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	again := newBackgroundRequest(ctx, r, header)
	if sent, err := url.ParseRequestURI(r.RequestURI); err == nil { // as servers do
		again.URL = sent
	}
	return again
}

// newBackgroundRequest returns a GET like r, without what r's caller has in it for itself.
func newBackgroundRequest(ctx context.Context, r *http.Request, header http.Header) *http.Request {
	u := *r.URL
	again := &http.Request{
		Method: http.MethodGet, URL: &u, RequestURI: r.RequestURI, Host: r.Host, Header: header, Body: http.NoBody,
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, RemoteAddr: r.RemoteAddr, TLS: r.TLS,
	}
	return again.WithContext(ctx)
}

// backgroundContext returns the context of work that outlives r.
func (c *Cache) backgroundContext(r *http.Request) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(c.newContext(r))
	stop := context.AfterFunc(c.background, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// newContext returns a context with what a server gives its requests, for a request like r.
func (c *Cache) newContext(r *http.Request) context.Context {
	ctx := context.Background()
	if c.cfg.BackgroundContext != nil {
		ctx = c.cfg.BackgroundContext(r)
	}
	if server := r.Context().Value(http.ServerContextKey); server != nil {
		// Without it, httputil.ReverseProxy would not abort on a truncated answer.
		ctx = context.WithValue(ctx, http.ServerContextKey, server)
	}
	if addr := r.Context().Value(http.LocalAddrContextKey); addr != nil {
		ctx = context.WithValue(ctx, http.LocalAddrContextKey, addr)
	}
	return ctx
}

// endingWith is a context that ends with one context, and has the values of another.
type endingWith struct {
	context.Context
	values context.Context
}

// Value implements context.Context.
func (c endingWith) Value(key any) any { return c.values.Value(key) }
