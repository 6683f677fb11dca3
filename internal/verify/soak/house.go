package main

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
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/internal/verify/ledger"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/stats"
)

// The front doors.
const (
	frontHandler   = "handler"
	frontTransport = "transport"
)

// house holds the caches on one Storage, the origins behind them and the server in front.
type house struct {
	options *options
	world   *world
	front   *httptest.Server
	bodies  *faulty.Bodies
	behind  http.RoundTripper
	broken  *breakage
	dir     string // of a durable Storage

	plain *faulty.Origin
	h2    *faulty.HTTP2Origin
	base  *http.Transport // for HTTP/1.1

	// Client requests and purges hold using for reading. A restart holds it for writing.
	using  sync.RWMutex
	caches []*counted
	doors  atomic.Pointer[[]http.Handler] // one for each cache
	came   [1 << 16]atomic.Uint64         // recent request numbers, indexed by their last bits
	purger purger
	close  func() error // closes the Storage

	miscounts []string       // what the caches counted wrongly
	purges    map[string]int // that the caches counted, by kind
}

// counted is a cache with what goes in and out of it.
type counted struct {
	*middleware.Cache
	ledger   ledger.Ledger
	miscount func(*stats.Snapshot) // nil: the numbers stay as they are
}

// newHouse builds the house that o describes.
func newHouse(o *options, w *world) (*house, error) {
	if storages[o.storage] == nil {
		return nil, fmt.Errorf("unknown storage %q", o.storage)
	}
	if o.front != frontHandler && o.front != frontTransport {
		return nil, fmt.Errorf("unknown front door %q", o.front)
	}
	broken := breakages[o.broken]
	if broken == nil {
		return nil, fmt.Errorf("unknown breakage %q", o.broken)
	}
	h := &house{options: o, world: w, broken: broken(w), purges: make(map[string]int)}
	var err error
	if h.dir, err = os.MkdirTemp("", "cirque-soak-"); err != nil {
		return nil, err
	}
	h.plain = faulty.NewOrigin(nil, w.origin)
	h.h2 = faulty.NewHTTP2Origin(nil, w.origin)
	h.base = &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, DialContext: (&net.Dialer{Timeout: 5 * time.Second}).DialContext}
	h.bodies = faulty.TrackBodies(nil, &switchboard{http1: h.base, http2: h.h2.Transport()})
	h.behind = &upstream{world: w, base: h.bodies}
	if h.broken.upstream != nil {
		h.behind = h.broken.upstream(h.behind)
	}
	if err := h.open(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(h.dir))
	}
	var handler http.Handler = surround(http.HandlerFunc(h.serve))
	if h.broken.front != nil {
		handler = h.broken.front(handler)
	}
	h.front = httptest.NewUnstartedServer(handler)
	h.front.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.front.Start()
	return h, nil
}

// open opens the Storage and the caches on it.
func (h *house) open() error {
	cfg := middleware.Config{
		MaxBytes: h.options.memory,
		LockWait: 2 * time.Second,
		FillIdle: 5 * time.Second,
		Ranges:   h.options.ranges,
		Logger:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	}
	closer, err := storages[h.options.storage](&cfg, h.dir)
	if err != nil {
		return err
	}
	h.close = closer
	h.caches = nil
	var doors []http.Handler
	var purgers anyOf
	for n := range max(1, h.options.caches) {
		own := cfg
		if h.broken.config != nil {
			h.broken.config(&own, n)
		}
		cache := new(counted)
		if h.broken.miscount != nil {
			cache.miscount = h.broken.miscount(&own)
		}
		if cache.Cache, err = middleware.New(own); err != nil {
			return errors.Join(err, closer())
		}
		h.caches = append(h.caches, cache)
		doors = append(doors, h.door(cache))
		var p purger = cache
		if h.broken.purger != nil {
			p = h.broken.purger(p, n)
		}
		purgers = append(purgers, p)
	}
	h.doors.Store(&doors)
	h.purger = purgers
	return nil
}

// serve passes the request to one of the caches, which the request's number selects. A cache may
// replay a request to refresh an entry in the background; the replay has the same number, so it
// reaches the same cache. A restart waits for such refreshes. So a replay must not wait for a
// restart, and takes no lock.
func (h *house) serve(w http.ResponseWriter, r *http.Request) {
	number, _ := strconv.ParseUint(r.Header.Get(requestField), 10, 64)
	replayed := number != 0 && h.came[number%uint64(len(h.came))].Swap(number) == number
	if !replayed {
		h.using.RLock()
		defer h.using.RUnlock()
	}
	doors := *h.doors.Load()
	doors[number%uint64(len(doors))].ServeHTTP(w, r)
}

// restart waits until no client request or purge is under way, then closes and reopens the caches
// and the Storage.
func (h *house) restart() error {
	h.using.Lock()
	defer h.using.Unlock()
	if err := h.closeCaches(); err != nil {
		return err
	}
	return h.open()
}

func (h *house) closeCaches() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, cache := range h.caches {
		if err := cache.Close(ctx); err != nil {
			return fmt.Errorf("closing the cache: %w", err)
		}
		h.audit(cache)
	}
	return h.close()
}

// audit compares what the cache has counted with what went in and out.
func (h *house) audit(cache *counted) {
	s := cache.Stats()
	if cache.miscount != nil {
		cache.miscount(&s)
	}
	if err := cache.ledger.Compare(s); err != nil {
		h.miscounts = append(h.miscounts, err.Error())
	}
	for _, p := range s.Purges {
		kind := p.Kind
		if p.Soft {
			kind = "soft " + kind
		}
		h.purges[kind] += int(p.Done + p.NotFound)
	}
}

// door puts the cache before or behind a reverse proxy.
func (h *house) door(cache *counted) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			target, _ := url.Parse(h.originURL(r.In.URL.Path))
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		Transport:     h.behind,
		FlushInterval: -1,
		BufferPool:    &buffers{},
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	if h.options.front == frontTransport {
		proxy.Transport = cache.ledger.Transport(cache.Cache, h.behind)
		return proxy
	}
	return cache.ledger.Handler(cache.Cache, sendItem(proxy))
}

// surroundings is a value that middleware around the cache puts into a request's context. As some
// routers do, the middleware reuses it for another request when ServeHTTP returns.
type surroundings struct{ item atomic.Pointer[string] }

type surroundingsKey struct{}

// surround is that middleware.
func surround(next http.Handler) http.Handler {
	pool := sync.Pool{New: func() any { return new(surroundings) }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := pool.Get().(*surroundings)
		defer func() {
			recycled := "recycled"
			s.item.Store(&recycled)
			pool.Put(s)
		}()
		s.item.Store(&r.URL.Path)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), surroundingsKey{}, s)))
	})
}

// sendItem is the handler behind the cache. It sends the value that it found in the request's
// context to the origin.
func sendItem(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		item := "nothing"
		if s, _ := r.Context().Value(surroundingsKey{}).(*surroundings); s != nil {
			item = *s.item.Load()
		}
		r = r.Clone(r.Context())
		r.Header.Set(itemField, item)
		next.ServeHTTP(w, r)
	})
}

// originURL returns the base URL of the origin that has path.
func (h *house) originURL(path string) string {
	if strings.HasPrefix(path, "/2/") {
		return h.h2.URL
	}
	return h.plain.URL
}

// keyed returns a request for res as the cache sees it.
func (h *house) keyed(front string, res *resource) *http.Request {
	base := h.front.URL
	if front == frontTransport {
		base = h.originURL(res.path)
	}
	return res.request(base, h.front.Listener.Addr().String())
}

// shut closes everything, the caches first.
func (h *house) shut() error {
	h.using.Lock() // until the last answer is written
	err := h.closeCaches()
	h.using.Unlock()
	if err != nil {
		return err
	}
	h.front.Close()
	h.base.CloseIdleConnections()
	h.plain.Close()
	h.h2.Close()
	return os.RemoveAll(h.dir)
}

// switchboard sends each request over the protocol of its origin.
type switchboard struct{ http1, http2 http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s *switchboard) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasPrefix(r.URL.Path, "/2/") {
		return s.http2.RoundTrip(r)
	}
	return s.http1.RoundTrip(r)
}

// buffers is an httputil.BufferPool.
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
