package history

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// The front doors. doorServer is the Handler in an http.Server with connections in memory.
// doorHandler calls the Handler without a server, so the cache may have no way to refresh in the
// background.
const (
	doorHandler   = "handler"
	doorServer    = "server"
	doorTransport = "transport"
)

var doors = []string{doorHandler, doorServer, doorTransport}

const (
	cacheBytes = 16 << 20 // nothing is evicted
	origin     = "http://example.com"
)

// storages lists the kinds of Storage. open opens one and sets it in cfg; durable ones use dir.
var storages = map[string]struct {
	durable bool // a restart keeps what is stored
	shared  bool // two caches may use it
	open    func(dir string, cfg *middleware.Config) (closer func() error, err error)
}{
	"memory": {shared: true, open: func(_ string, cfg *middleware.Config) (func() error, error) {
		manager, err := eviction.New(eviction.Default, cacheBytes)
		if err != nil {
			return nil, err
		}
		budget := cirque.NewBudget(cacheBytes)
		store := memcache.New(memcache.Config{Budget: budget})
		budget.EvictWith(manager, store)
		cfg.Storage, cfg.Eviction = store, manager
		return func() error { return nil }, nil
	}},
	// plain has none of the optional interfaces, so only one Cache may use it.
	"plain": {open: func(_ string, cfg *middleware.Config) (func() error, error) {
		budget := cirque.NewBudget(cacheBytes)
		cfg.Storage = newPlain(memcache.New(memcache.Config{Budget: budget}))
		return func() error { return nil }, nil
	}},
	"disk": {durable: true, shared: true, open: func(dir string, cfg *middleware.Config) (func() error, error) {
		disk, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: cacheBytes})
		if err != nil {
			return nil, err
		}
		cfg.Storage, cfg.Eviction = disk, disk.Eviction()
		return disk.Close, nil
	}},
	"tiered": {durable: true, shared: true, open: func(dir string, cfg *middleware.Config) (func() error, error) {
		disk, err := diskcache.Open(dir, &diskcache.Config{MaxBytes: cacheBytes})
		if err != nil {
			return nil, err
		}
		manager, err := eviction.New("", cacheBytes)
		if err != nil {
			return nil, errors.Join(err, disk.Close())
		}
		budget := cirque.NewBudget(cacheBytes)
		memory := memcache.New(memcache.Config{Budget: budget})
		budget.EvictWith(manager, memory)
		cfg.Storage = tiered.New(memory, disk, tiered.Config{UpperEviction: manager})
		cfg.Eviction = disk.Eviction()
		return disk.Close, nil
	}},
}

// storageNames lists the names of storages; draw picks from it. Another order would give a seed
// another history.
var storageNames = []string{"memory", "plain", "disk", "tiered", "disk", "tiered", "memory"}

// house holds the caches of a history and the origin behind them.
type house struct {
	plan  *plan
	world *world
	dir   string
	fault *breakage

	caches []*middleware.Cache
	fronts []http.RoundTripper
	close  []func() error // called from last to first
}

// open opens the Storage and the caches on it.
func (h *house) open() error {
	cfg := middleware.Config{MaxBytes: cacheBytes, Logger: slog.New(slog.DiscardHandler), AuthorizePurge: func(*http.Request) bool { return true }}
	cfg.Private, cfg.HeadAsGet, cfg.MaxFills = h.plan.private, h.plan.heads, h.plan.fills
	closer, err := storages[h.plan.storage].open(h.dir, &cfg)
	if err != nil {
		return err
	}
	h.caches, h.fronts, h.close = nil, nil, []func() error{closer}
	for n := range h.plan.caches {
		own := cfg
		if h.fault.config != nil {
			h.fault.config(&own, n)
		}
		cache, err := middleware.New(own)
		if err != nil {
			return errors.Join(err, h.shut())
		}
		h.caches = append(h.caches, cache)
		h.close = append(h.close, func() error { return cache.Close(context.Background()) })
		front := h.door(cache)
		if h.fault.front != nil {
			front = h.fault.front(front)
		}
		h.fronts = append(h.fronts, front)
	}
	return nil
}

// shut closes everything.
func (h *house) shut() error {
	var failed error
	for n := len(h.close) - 1; n >= 0; n-- {
		failed = errors.Join(failed, h.close[n]())
	}
	h.close = nil
	return failed
}

// door returns a RoundTripper that sends requests through cache.
func (h *house) door(cache *middleware.Cache) http.RoundTripper {
	behind := http.Handler(h.world)
	if h.fault.origin != nil {
		behind = h.fault.origin(behind)
	}
	switch h.plan.door {
	case doorTransport:
		return cache.Transport(serving{behind})
	case doorHandler:
		return serving{outer(cache.Handler(behind))}
	}
	listener := &listener{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: outer(cache.Handler(behind)), ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	client := &http.Transport{DialContext: listener.dial, DisableCompression: true}
	h.close = append(h.close, func() error {
		client.CloseIdleConnections()
		return server.Close()
	})
	return client
}

// listener is a net.Listener in memory.
type listener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return &net.TCPAddr{} }

// serving turns a handler into a RoundTripper. RoundTrip returns when the handler has sent its
// header; the body streams.
type serving struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (s serving) RoundTrip(r *http.Request) (*http.Response, error) {
	pr, pw := io.Pipe()
	w := &pipedWriter{header: make(http.Header), body: pw, ready: make(chan *http.Response, 1), response: pr, head: r.Method == http.MethodHead}
	failed := make(chan error, 1)
	// As in a server, the handler's context ends with the request.
	ctx, cancel := context.WithCancel(r.Context())
	own := r.WithContext(ctx)
	if own.Body == nil {
		own.Body = http.NoBody
	}
	go func() {
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				err := errors.New("the connection broke")
				if p != http.ErrAbortHandler {
					err = fmt.Errorf("panic: %v", p)
				}
				pw.CloseWithError(err)
				failed <- err
				return
			}
			w.WriteHeader(http.StatusOK)
			pw.Close()
		}()
		s.ServeHTTP(w, own)
	}()
	select {
	case response := <-w.ready:
		response.Request = r
		context.AfterFunc(r.Context(), func() { pr.CloseWithError(context.Cause(r.Context())) })
		return response, nil
	case err := <-failed:
		return nil, err
	case <-r.Context().Done():
		pr.Close()
		return nil, context.Cause(r.Context())
	}
}

// pipedWriter is the ResponseWriter of serving.
type pipedWriter struct {
	header   http.Header
	body     *io.PipeWriter
	response *io.PipeReader
	ready    chan *http.Response
	head     bool
	sent     bool
}

// Header implements http.ResponseWriter.
func (w *pipedWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *pipedWriter) WriteHeader(status int) {
	if w.sent || status < 200 {
		return
	}
	w.sent = true
	length, err := strconv.ParseInt(w.header.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	w.ready <- &http.Response{
		Status: strconv.Itoa(status), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header.Clone(), Body: w.response, ContentLength: length,
	}
}

// Write implements io.Writer.
func (w *pipedWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.head {
		return len(p), nil
	}
	return w.body.Write(p)
}

// Flush implements http.Flusher.
func (w *pipedWriter) Flush() { w.WriteHeader(http.StatusOK) }

// target returns a request that names res in a purge.
func (res *resource) target(method string) *http.Request {
	return httptest.NewRequest(method, origin+res.path, nil)
}
