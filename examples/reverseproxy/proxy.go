package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

// newProxy returns a proxy for origin that uses the front door of cache called front. public is the
// scheme and host that clients use, or nil if they connect to the proxy itself.
func newProxy(origin, public *url.URL, front string, cache *middleware.Cache, transport http.RoundTripper) http.Handler {
	backend := &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			route(r, origin)
			r.SetXForwarded()
			if public != nil {
				r.Out.Header.Set("X-Forwarded-Proto", public.Scheme)
				if public.Host != "*" {
					r.Out.Header.Set("X-Forwarded-Host", public.Host)
				}
			}
			addVia(r)
		},
		FlushInterval: -1, // pass on at once what the origin sends
		BufferPool:    &buffers{},
		ErrorHandler:  originFailed,
		ErrorLog:      log.New(io.Discard, "", 0), // a broken response is aborted; clients and our log see that
	}
	if front == frontTransport {
		backend.Transport = cache.Transport(transport)
		return &proxy{serve: asTyped(backend), purge: purgeBehind(origin, cache)}
	}
	handler := cache.Handler(asTyped(backend))
	return &proxy{serve: handler, purge: handler}
}

// proxy separates purges from other requests, and removes from the others the fields that a client
// must not set.
type proxy struct{ serve, purge http.Handler }

// ServeHTTP implements http.Handler.
func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == "PURGE" {
		p.purge.ServeHTTP(w, r)
		return
	}
	if r.Method == http.MethodOptions || r.Method == http.MethodTrace {
		var last bool
		if r, last = forwardOnce(r); last {
			answerAsLast(w, r)
			return
		}
	}
	p.serve.ServeHTTP(w, withoutClaims(r))
}

// withoutClaims removes the fields by which a client could claim to be another client, or to send
// another request. Some servers route by X-Original-URL and X-Rewrite-URL, which are not in the
// cache key. Only proxies may set Forwarded and X-Forwarded-*.
//
// The fields are removed before the cache sees the request. Otherwise a response that varies on one
// of them would have a variant for each false value.
func withoutClaims(r *http.Request) *http.Request {
	for name := range r.Header {
		if isClaim(name) {
			clean := *r
			clean.Header = r.Header.Clone()
			for name := range clean.Header {
				if isClaim(name) {
					delete(clean.Header, name)
				}
			}
			return &clean
		}
	}
	return r
}

// isClaim reports whether withoutClaims removes the field.
func isClaim(name string) bool {
	switch name {
	case "X-Original-Url", "X-Rewrite-Url", "Forwarded":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// route directs a request to the origin. Host and query stay as the client sent them.
func route(r *httputil.ProxyRequest, origin *url.URL) {
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.SetURL(origin)
	r.Out.Host = r.In.Host
}

// asTyped leaves the Content-Type as next sets it. If next sets none, the response has none:
// otherwise net/http would guess one from the content, even if the origin sent nosniff.
func asTyped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&typedWriter{w}, r)
	})
}

type typedWriter struct{ http.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *typedWriter) WriteHeader(status int) {
	if header := w.Header(); status >= 200 && header["Content-Type"] == nil {
		header["Content-Type"] = nil
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the wrapped writer.
func (w *typedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// mayPurge reports whether a request may purge: it must come from this machine, and not through
// another proxy on this machine.
func mayPurge(r *http.Request) bool {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback() &&
		len(r.Header["Forwarded"]) == 0 && len(r.Header["X-Forwarded-For"]) == 0
}

// purgeBehind returns a handler that purges what the cache's transport has stored. The transport
// stores it under the URLs of the origin.
func purgeBehind(origin *url.URL, cache *middleware.Cache) http.Handler {
	handler := cache.Handler(http.NotFoundHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		route(&httputil.ProxyRequest{In: r, Out: out}, origin)
		handler.ServeHTTP(w, out)
	})
}

// originFailed answers if the origin did not answer. The log has the reason.
func originFailed(w http.ResponseWriter, r *http.Request, err error) {
	noteError(r.Context(), err)
	http.Error(w, "the origin did not answer", http.StatusBadGateway)
}

// newTransport returns the transport to the origin. http.DefaultTransport would keep only two idle
// connections to a host, and would decompress bodies that should be passed on as they are.
func newTransport() *http.Transport {
	const connections = 512
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
	}
}

// buffers is a httputil.BufferPool for copying bodies.
type buffers struct{ pool sync.Pool }

const bufferBytes = 32 << 10

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[bufferBytes]byte); ok {
		return buffer[:]
	}
	return make([]byte, bufferBytes)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[bufferBytes]byte)(buffer)) }
