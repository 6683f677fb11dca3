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

// newProxy returns a proxy for origin with cache at the front door called front. public is the
// origin that its clients ask; nil where they connect to the proxy itself.
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
		FlushInterval: -1, // what the origin has sent, the client is to have
		BufferPool:    &buffers{},
		ErrorHandler:  originFailed,
		ErrorLog:      log.New(io.Discard, "", 0), // what breaks off is aborted, which clients and the log see
	}
	if front == frontTransport {
		backend.Transport = cache.Transport(transport)
		return &proxy{serve: asTyped(backend), purge: purgeBehind(origin, cache)}
	}
	handler := cache.Handler(asTyped(backend))
	return &proxy{serve: handler, purge: handler}
}

// proxy tells purges from other requests, and takes out of those what a client must not say.
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

// withoutClaims drops the fields by which a client could pass itself, or its request, off as
// another: some servers route by X-Original-URL and X-Rewrite-URL, which are in no cache key, and
// what was forwarded for whom is for proxies to say.
//
// They go before the cache sees the request, or a response that varies by one would have a variant
// for each lie.
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

func isClaim(name string) bool {
	switch name {
	case "X-Original-Url", "X-Rewrite-Url", "Forwarded":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-")
}

// route points a request to the origin. Its Host and its query go there as the client sent them.
func route(r *httputil.ProxyRequest, origin *url.URL) {
	r.Out.URL.RawQuery = r.In.URL.RawQuery
	r.SetURL(origin)
	r.Out.Host = r.In.Host
}

// asTyped makes what next answers have the Content-Type that next gave it, or none. Without it
// net/http would guess one from the content, beside a nosniff of the origin's even.
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

// Unwrap is for http.ResponseController.
func (w *typedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// mayPurge lets those purge who are on this machine, and not by way of another proxy on it.
func mayPurge(r *http.Request) bool {
	client, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && client.Addr().Unmap().IsLoopback() &&
		len(r.Header["Forwarded"]) == 0 && len(r.Header["X-Forwarded-For"]) == 0
}

// purgeBehind lets the cache's handler purge what its transport has stored, under the URLs of the
// origin.
func purgeBehind(origin *url.URL, cache *middleware.Cache) http.Handler {
	handler := cache.Handler(http.NotFoundHandler())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		route(&httputil.ProxyRequest{In: r, Out: out}, origin)
		handler.ServeHTTP(w, out)
	})
}

// originFailed answers for an origin that did not. Why is in the log.
func originFailed(w http.ResponseWriter, r *http.Request, err error) {
	noteError(r.Context(), err)
	http.Error(w, "the origin did not answer", http.StatusBadGateway)
}

// newTransport returns the connections to the origin. http.DefaultTransport keeps two of them open
// for a host, and would decompress what it is to pass on.
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

// buffers are for copying bodies. It is a httputil.BufferPool.
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
