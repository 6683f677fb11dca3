package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque/internal/faulty"
	"github.com/cirquecache/cirque/middleware"
)

// The front doors.
const (
	frontHandler   = "handler"
	frontTransport = "transport"
)

// house is a cache with its origins behind it and a server in front.
type house struct {
	front  *httptest.Server
	cache  *middleware.Cache
	purger purger
	bodies *faulty.Bodies

	plain *faulty.Origin
	h2    *faulty.HTTP2Origin
	base  *http.Transport
	close func() error // closes the storage
}

// purger is the part of a cache that purges.
type purger interface {
	Purge(ctx context.Context, r *http.Request) error
	SoftPurge(ctx context.Context, r *http.Request) error
	PurgeAll(ctx context.Context) error
	PurgeGroup(ctx context.Context, r *http.Request, group string) error
}

// newHouse builds the house that o asks for.
func newHouse(o *options, w *world) (*house, error) {
	h := &house{close: func() error { return nil }}
	cfg := middleware.Config{
		MaxBytes: o.memory,
		LockWait: 2 * time.Second,
		FillIdle: 5 * time.Second,
		Ranges:   o.ranges,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	open := storages[o.storage]
	if open == nil {
		return nil, fmt.Errorf("unknown storage %q", o.storage)
	}
	broken := breakages[o.broken]
	if broken == nil {
		return nil, fmt.Errorf("unknown breakage %q", o.broken)
	}
	closer, err := open(&cfg)
	if err != nil {
		return nil, err
	}
	if closer != nil {
		h.close = closer
	}
	b := broken(w)
	if b.config != nil {
		b.config(&cfg)
	}
	if h.cache, err = middleware.New(cfg); err != nil {
		return nil, err
	}
	h.purger = h.cache
	if b.purger != nil {
		h.purger = b.purger(h.cache)
	}

	h.plain = faulty.NewOrigin(nil, w.origin)
	h.h2 = faulty.NewHTTP2Origin(nil, w.origin)
	h.base = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	h.bodies = faulty.TrackBodies(nil, &switchboard{http1: h.base, http2: h.h2.Transport()})
	var behind http.RoundTripper = &upstream{world: w, base: h.bodies}
	if b.upstream != nil {
		behind = b.upstream(behind)
	}
	handler := h.door(o.front, behind)
	if handler == nil {
		return nil, fmt.Errorf("unknown front door %q", o.front)
	}
	if b.front != nil {
		handler = b.front(handler)
	}
	h.front = httptest.NewUnstartedServer(handler)
	h.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.front.Start()
	return h, nil
}

// door puts the cache before or behind a reverse proxy.
func (h *house) door(name string, behind http.RoundTripper) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, _ := url.Parse(h.base1(r.In.URL.Path))
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:     behind,
		FlushInterval: -1,
		BufferPool:    &buffers{},
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	switch name {
	case frontHandler:
		return h.cache.Handler(proxy)
	case frontTransport:
		proxy.Transport = h.cache.Transport(behind)
		return proxy
	}
	return nil
}

// base1 returns the base URL of the origin that has path.
func (h *house) base1(path string) string {
	if strings.HasPrefix(path, "/2/") {
		return h.h2.URL
	}
	return h.plain.URL
}

// keyed returns a request for res as the cache sees it.
func (h *house) keyed(front string, res *resource) *http.Request {
	base := h.front.URL
	if front == frontTransport {
		base = h.base1(res.path)
	}
	return res.request(base, h.front.Listener.Addr().String())
}

// shut closes everything, the cache first, and returns what went wrong.
func (h *house) shut() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := h.cache.Close(ctx); err != nil {
		return fmt.Errorf("closing the cache: %w", err)
	}
	h.front.Close()
	h.base.CloseIdleConnections()
	h.plain.Close()
	h.h2.Close()
	return h.close()
}

// switchboard sends requests out over the protocol that their origin speaks.
type switchboard struct{ http1, http2 http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s *switchboard) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/2/") {
		return s.http2.RoundTrip(r)
	}
	return s.http1.RoundTrip(r)
}

// buffers are a httputil.BufferPool.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }
