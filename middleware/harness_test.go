package middleware_test

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/verify/faulty"
	"github.com/cirquecache/cirque/middleware"
)

var quiet = log.New(io.Discard, "", 0)

// harness is an origin, a cache and a server in front of it, on loopback.
type harness struct {
	t      testing.TB
	door   string
	cache  *middleware.Cache
	origin *httptest.Server
	front  *httptest.Server
	client *http.Client

	mu    sync.Mutex
	count int             // how many requests reached the origin
	asked []*http.Request // the latest hundred of them
}

// eachDoor runs test twice: with the cache as a handler and with the cache as a transport.
func eachDoor(t *testing.T, cfg middleware.Config, origin http.HandlerFunc, test func(t *testing.T, h *harness)) {
	t.Helper()
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) { test(t, newHarness(t, door, cfg, origin)) })
	}
}

func newHarness(t testing.TB, door string, cfg middleware.Config, origin http.HandlerFunc) *harness {
	t.Helper()
	faulty.CheckGoroutines(t)
	h := &harness{t: t, door: door}
	h.origin = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.count++
		h.asked = append(h.asked[max(0, len(h.asked)-99):], r.Clone(context.Background()))
		h.mu.Unlock()
		origin(w, r)
	}))
	h.origin.Config.ErrorLog = quiet
	t.Cleanup(h.origin.Close)
	h.open(cfg, nil)
	return h
}

// newFaultyHarness is newHarness with an origin that misbehaves as script says. Every body from the
// origin must be closed at the end.
func newFaultyHarness(t testing.TB, door string, cfg middleware.Config, script func(*http.Request) faulty.Answer) (*harness, *faulty.Origin) {
	t.Helper()
	faulty.CheckGoroutines(t)
	origin := faulty.NewOrigin(t, script)
	h := &harness{t: t, door: door, origin: &httptest.Server{URL: origin.URL}}
	h.open(cfg, nil)
	return h, origin
}

// newHTTP2Harness is newFaultyHarness with an origin that speaks HTTP/2.
func newHTTP2Harness(t testing.TB, door string, cfg middleware.Config, script func(*http.Request) faulty.Answer) (*harness, *faulty.HTTP2Origin) {
	t.Helper()
	faulty.CheckGoroutines(t)
	origin := faulty.NewHTTP2Origin(t, script)
	h := &harness{t: t, door: door, origin: &httptest.Server{URL: origin.URL}}
	h.open(cfg, origin.Transport())
	return h, origin
}

// newHandlerHarness returns a harness whose server is the cache in front of next, without a proxy.
func newHandlerHarness(t *testing.T, cfg middleware.Config, next http.HandlerFunc) *harness {
	t.Helper()
	h := newHarness(t, "handler", cfg, nil)
	h.front.Close()
	h.front = startServer(t, h.cache.Handler(next))
	return h
}

// newTransportHarness returns a harness whose client's transport is the cache.
func newTransportHarness(t *testing.T, cfg middleware.Config, origin http.HandlerFunc) *harness {
	h := newHarness(t, "transport", cfg, origin)
	base := &http.Transport{}
	t.Cleanup(base.CloseIdleConnections)
	h.client = &http.Client{Transport: h.cache.Transport(base)}
	h.front = h.origin
	return h
}

// open builds the cache and the server in front of it. If base is nil, the harness makes a
// transport of its own.
func (h *harness) open(cfg middleware.Config, base http.RoundTripper) {
	h.t.Helper()
	var err error
	h.cache, err = middleware.New(cfg)
	require.NoError(h.t, err)
	if base == nil {
		transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}
		h.t.Cleanup(transport.CloseIdleConnections)
		base = transport
	}
	h.front = newFront(h.cache, h.door, h.origin.URL, faulty.TrackBodies(h.t, base), h.t)
	h.client = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100}}
	h.t.Cleanup(h.client.CloseIdleConnections)
	closeAtEnd(h.t, h.cache)
}

// newCache returns a cache that is closed at the end of t.
func newCache(t testing.TB, cfg middleware.Config) *middleware.Cache {
	t.Helper()
	cache, err := middleware.New(cfg)
	require.NoError(t, err)
	closeAtEnd(t, cache)
	return cache
}

// closeAtEnd closes cache at the end of t. Its fills must end within ten seconds.
func closeAtEnd(t testing.TB, cache *middleware.Cache) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, cache.Close(ctx))
	})
}

// serve starts a server for handler and returns a harness that asks it.
func serve(t testing.TB, handler http.Handler) *harness {
	front := startServer(t, handler)
	return &harness{t: t, front: front, client: front.Client()}
}

// serveTLS serves handler on loopback by HTTP/1.1 or HTTP/2, with TLS, and returns a harness to ask
// it.
func serveTLS(t *testing.T, proto string, handler http.Handler) *harness {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = quiet
	server.EnableHTTP2 = proto == "HTTP/2.0"
	server.StartTLS()
	t.Cleanup(server.Close)
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := &harness{t: t, front: server, client: client}
	require.Equal(t, proto, h.get("/warm-up").Proto)
	return h
}

// eachProtocol runs test with HTTP/1.1 and with HTTP/2.
func eachProtocol(t *testing.T, test func(t *testing.T, proto string)) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) { test(t, proto) })
	}
}

// startServer starts a server for handler that does not log.
func startServer(t testing.TB, handler http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = quiet
	server.Start()
	t.Cleanup(server.Close)
	return server
}

// newFront starts a server with the cache at the given door; transport leads to the origin.
func newFront(cache *middleware.Cache, door, origin string, transport http.RoundTripper, t testing.TB) *httptest.Server {
	handler, err := newProxy(cache, door, origin, transport)
	require.NoError(t, err)
	return startServer(t, handler)
}

// newProxy returns a reverse proxy for origin, with the cache around it or as its transport.
func newProxy(cache *middleware.Cache, door, origin string, transport http.RoundTripper) (http.Handler, error) {
	target, err := url.Parse(origin)
	if err != nil {
		return nil, err
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host, r.Out.URL.RawQuery = r.In.Host, r.In.URL.RawQuery
		},
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      quiet,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	if door == "handler" {
		return cache.Handler(proxy), nil
	}
	proxy.Transport = cache.Transport(transport)
	return proxy, nil
}

// requests returns how many requests reached the origin.
func (h *harness) requests() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.count
}

// lastRequest returns the latest request that reached the origin.
func (h *harness) lastRequest() *http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked[len(h.asked)-1]
}

// reply is a response whose body has been read.
type reply struct {
	*http.Response
	body string
	err  error // from reading the body
}

// readReply reads and closes the body of response.
func readReply(response *http.Response) reply {
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return reply{response, string(body), err}
}

// addFields adds name, value pairs to header.
func addFields(header http.Header, pairs []string) {
	for i := 0; i < len(pairs); i += 2 {
		header.Add(pairs[i], pairs[i+1])
	}
}

// do sends a request and reads the answer; header holds name, value pairs.
func (h *harness) do(method, path string, header ...string) reply {
	h.t.Helper()
	response, err := h.send(method, path, header)
	require.NoError(h.t, err)
	return readReply(response)
}

// try is do for requests that may fail. Any goroutine may call it.
func (h *harness) try(method, path string, header ...string) reply {
	response, err := h.send(method, path, header)
	if err != nil {
		return reply{Response: &http.Response{}, err: err}
	}
	return readReply(response)
}

func (h *harness) send(method, path string, header []string) (*http.Response, error) {
	r, err := http.NewRequest(method, h.front.URL+path, nil)
	if err != nil {
		return nil, err
	}
	addFields(r.Header, header)
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
		r.Header.Del("Host")
	}
	return h.client.Do(r)
}

func (h *harness) get(path string, header ...string) reply {
	h.t.Helper()
	return h.do(http.MethodGet, path, header...)
}

// getTwice requests target twice and returns the body. The second answer must be a hit.
func (h *harness) getTwice(target string, header ...string) string {
	h.t.Helper()
	first := h.get(target, header...)
	require.Contains(h.t, first.status(), "; stored", target)
	second := h.get(target, header...)
	require.Contains(h.t, second.status(), "; hit", target)
	require.Equal(h.t, first.body, second.body, target)
	return first.body
}

// raw sends the requests over one connection, byte for byte, and returns one reply for each.
func (h *harness) raw(requests ...faulty.Request) []faulty.Reply {
	h.t.Helper()
	conn, err := faulty.Dial(context.Background(), h.front.URL)
	require.NoError(h.t, err)
	defer conn.Close()
	var replies []faulty.Reply
	for _, r := range requests {
		require.NoError(h.t, conn.Send(r))
		reply, err := conn.Receive(r.Method)
		require.NoError(h.t, err)
		replies = append(replies, reply)
	}
	return replies
}

// status returns the Cache-Status of the response.
func (r reply) status() string { return r.Header.Get("Cache-Status") }

// setCookies returns the cookies of an answer.
func (r reply) setCookies() string { return strings.Join(r.Header["Set-Cookie"], "; ") }

// purge calls Cache.Purge for path.
func (h *harness) purge(path string) error {
	return h.cache.Purge(context.Background(), h.requestFor(path))
}

// requestFor returns a request for path as the cache sees it: behind its server, or behind the
// proxy.
func (h *harness) requestFor(path string) *http.Request {
	server := h.front.URL
	if h.door == "transport" {
		server = h.origin.URL
	}
	r, err := http.NewRequest(http.MethodGet, server+path, nil)
	require.NoError(h.t, err)
	r.Host = h.front.Listener.Addr().String()
	return r
}

// eventually waits up to ten seconds for a condition that another goroutine brings about.
func eventually(t testing.TB, condition func() bool, what string) {
	t.Helper()
	require.Eventually(t, condition, 10*time.Second, time.Millisecond, what)
}

// gate returns a channel to wait on and the function that closes it. The end of t closes it too.
func gate(t testing.TB) (wait chan struct{}, open func()) {
	wait = make(chan struct{})
	open = sync.OnceFunc(func() { close(wait) })
	t.Cleanup(open)
	return wait, open
}

// longTests reports whether tests may take minutes and gigabytes (CIRQUE_LONG).
func longTests() bool { return os.Getenv("CIRQUE_LONG") != "" }

// always allows a purge or trusts a proxy.
func always(*http.Request) bool { return true }
