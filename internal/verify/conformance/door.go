package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Subject is the cache under test.
type Subject interface {
	Handler(next http.Handler) http.Handler
	Transport(base http.RoundTripper) http.RoundTripper

	// Wait returns when the cache has finished its background work: storing responses, and requests
	// to the origin.
	Wait(ctx context.Context) error

	// Waiting returns how many requests for URLs that contain path had to wait for another
	// request's answer.
	Waiting(path string) int

	Close(ctx context.Context) error
}

// The doors: the ways to put a cache between a client and the origin.
const (
	// InFrontOfService: a server of cache.Handler(service), as in a service of its own.
	InFrontOfService = "service"
	// InFrontOfProxy: a server of cache.Handler(ReverseProxy).
	InFrontOfProxy = "handler"
	// BehindProxy: a server of a ReverseProxy whose Transport is cache.Transport(base).
	BehindProxy = "transport"
	// InClient: an http.Client whose Transport is cache.Transport(base).
	InClient = "client"
)

// Doors returns the names of all doors.
func Doors() []string { return []string{InFrontOfService, InFrontOfProxy, BehindProxy, InClient} }

// Suite runs cases. It is safe for concurrent use.
type Suite struct {
	open   func(Setup) (Subject, error)
	origin *origin
	remote *httptest.Server // of the origin
	secure *httptest.Server // of the origin, with TLS
	direct *http.Transport  // without a cache
	runs   atomic.Int64
	log    errorLog

	patience time.Duration // how long to wait for something that must happen

	// SkipCacheStatus checks Cache-Status only in the cases that name it. It is for subjects that
	// do not send the field.
	SkipCacheStatus bool

	mu struct {
		sync.Mutex
		benches map[benchKey]*bench
	}
}

type benchKey struct {
	door  string
	setup Setup
	slow  string // the name of the only case of this bench; "": all cases that are not slow
}

// bench is a door with a subject in it, shared by the cases of one Setup. A slow case has its own
// bench: each step waits for the background work of its subject, so other cases on the bench would
// wait too.
type bench struct {
	subject Subject
	client  *http.Client
	front   string           // URL of the server that clients send to
	inside  string           // the same URL as the cache sees it
	server  *httptest.Server // nil if the client holds the cache
}

// NewSuite returns a suite that tests the subjects that open returns. It calls open for each door
// and Setup.
func NewSuite(open func(Setup) (Subject, error)) *Suite {
	s := &Suite{open: open, origin: &origin{}, direct: newTransport(), patience: 20 * time.Second}
	s.remote = s.newServer(s.origin)
	s.secure = httptest.NewTLSServer(s.origin)
	s.mu.benches = make(map[benchKey]*bench)
	return s
}

// Close stops the servers and closes the subjects.
func (s *Suite) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, b := range s.mu.benches {
		if b.server != nil {
			b.server.Close()
			b.client.CloseIdleConnections()
		}
		errs = append(errs, b.subject.Close(ctx))
	}
	s.direct.CloseIdleConnections()
	s.remote.Close()
	s.secure.Close()
	return errors.Join(append(errs, s.log.err())...)
}

func (s *Suite) bench(door string, c *Case) (*bench, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	setup := c.Setup
	key := benchKey{door: door, setup: setup}
	if c.Slow() {
		key.slow = c.Name
	}
	if b := s.mu.benches[key]; b != nil {
		return b, nil
	}
	subject, err := s.open(setup)
	if err != nil {
		return nil, err
	}
	b := &bench{subject: subject}
	switch door {
	case InFrontOfService:
		b.serve(s, subject.Handler(s.origin))
		b.inside = b.front
	case InFrontOfProxy:
		b.serve(s, subject.Handler(s.proxy(b, s.direct)))
		b.inside = b.front
	case BehindProxy:
		b.serve(s, s.proxy(b, subject.Transport(s.direct)))
		b.inside = s.remote.URL
	case InClient:
		origin, base := s.remote, http.RoundTripper(s.direct)
		if setup.TLS {
			origin, base = s.secure, s.secure.Client().Transport
		}
		b.client = newClient(subject.Transport(base))
		b.front, b.inside = origin.URL, origin.URL
	default:
		return nil, fmt.Errorf("conformance: no door %q", door)
	}
	s.mu.benches[key] = b
	return b, nil
}

// serve puts h behind a server and gives b a client for it.
func (b *bench) serve(s *Suite, h http.Handler) {
	b.server = s.newServer(h)
	b.client = newClient(newTransport())
	b.front = b.server.URL
}

// proxy returns a reverse proxy to the origin.
func (s *Suite) proxy(b *bench, transport http.RoundTripper) http.Handler {
	target, err := url.Parse(s.remote.URL)
	if err != nil {
		panic(err) // cannot happen: httptest made the URL
	}
	return &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  log.New(io.Discard, "", 0), // a dead origin would be logged
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			if "http://"+r.In.Host != b.front { // the case sets the host
				r.Out.Host = r.In.Host
			}
		},
	}
}

// newServer starts a server of h. Whatever the server logs, most likely a panic, is an error of the
// suite.
func (s *Suite) newServer(h http.Handler) *httptest.Server {
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(&s.log, "", 0)
	server.Start()
	return server
}

// errorLog keeps what the servers log.
type errorLog struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (l *errorLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *errorLog) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() == 0 {
		return nil
	}
	return fmt.Errorf("a server logged: %s", l.text.String())
}

func newTransport() *http.Transport {
	return &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}
}

func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// newExchange starts a run of a case at b, with a new id.
func (s *Suite) newExchange(b *bench) (e *exchange, id string) {
	id = fmt.Sprintf("c%06d", s.runs.Add(1)) // no id is a prefix of another
	inside, _ := url.Parse(b.inside)
	e = &exchange{scope: scope{
		now: time.Now().UTC().Truncate(time.Second),
		words: map[string]string{
			"id": id, "path": "/" + id, "url": b.inside + "/" + id, "host": inside.Host,
		},
	}}
	s.origin.running.Store(id, e)
	return e, id
}
