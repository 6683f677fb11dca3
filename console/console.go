package console

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"sync"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

// Config configures New.
type Config struct {
	// Caches are the caches that the page shows, by their names. Two of them must not have the same
	// name: set middleware.Config.Name.
	Caches []*middleware.Cache

	// Authorize reports whether a request may see and use the page. It is called for every request,
	// and may be called concurrently. [Loopback] is one such function.
	Authorize func(*http.Request) bool
	// Token is a secret of at least MinToken characters, with which a browser can log in, and which
	// programs send as "Authorization: Bearer TOKEN". Use TLS where it leaves the machine.
	//
	// Authorize or Token must be set. If both are, both must allow.
	Token string

	// AlwaysOn records requests also while nobody looks, so that the lists are full when a page
	// opens. Each request then costs some allocations.
	AlwaysOn bool
	// MaxPages bounds how many pages are open at one time. Default 16.
	MaxPages int
	// Explain answers what the page asks about a URL. Nil: middleware.Cache.Explain.
	Explain func(*middleware.Cache, *http.Request) Explanation
}

const (
	// MinToken is the length of the shortest Token.
	MinToken = 16
	// DefaultMaxPages is the default of Config.MaxPages.
	DefaultMaxPages = 16

	lookedFor = time.Minute // a recording goes on for so long after the last page has closed
	idleStep  = 10 * time.Second
)

// Console is the page. It is an http.Handler, safe for concurrent use.
type Console struct {
	cfg     Config
	sources []*source
	secrets secrets
	streams streams

	closing chan struct{}
	close   sync.Once
	ended   chan struct{}
}

// New returns a page about running caches. It fails if nothing says who may see it. Close must be
// called when the page is not needed any more; it need not be called before the program ends.
func New(cfg Config) (*Console, error) {
	switch {
	case len(cfg.Caches) == 0:
		return nil, errors.New("console: Config.Caches is empty")
	case cfg.Authorize == nil && cfg.Token == "":
		return nil, errors.New("console: set Config.Authorize or Config.Token, as the page is not for everybody")
	case cfg.Token != "" && len(cfg.Token) < MinToken:
		return nil, fmt.Errorf("console: Config.Token has less than %d characters", MinToken)
	case cfg.MaxPages < 0:
		return nil, fmt.Errorf("console: Config.MaxPages is negative: %d", cfg.MaxPages)
	case cfg.MaxPages == 0:
		cfg.MaxPages = DefaultMaxPages
	}
	names := make(map[string]bool)
	for _, cache := range cfg.Caches {
		name := cache.Stats().Name
		if names[name] {
			return nil, fmt.Errorf("console: two caches are called %q; set middleware.Config.Name", name)
		}
		names[name] = true
	}
	c := &Console{cfg: cfg, secrets: newSecrets(cfg.Token), closing: make(chan struct{}), ended: make(chan struct{})}
	c.streams.max = cfg.MaxPages
	for _, cache := range cfg.Caches {
		c.sources = append(c.sources, newSource(cache))
	}
	go c.run()
	return c, nil
}

// Close ends the open pages, and everything that New began. After that, c answers 503.
func (c *Console) Close() {
	c.close.Do(func() { close(c.closing) })
	<-c.ended
	c.streams.close()
}

// run keeps the history, and begins and ends the recording, until Close.
func (c *Console) run() {
	defer close(c.ended)
	defer func() {
		for _, s := range c.sources {
			s.close()
		}
	}()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	opened := c.streams.opened()
	sampled := time.Now()
	for {
		looked := c.streams.lookedWithin(lookedFor)
		for _, s := range c.sources {
			s.record(looked || c.cfg.AlwaysOn)
		}
		select {
		case <-c.closing:
			return
		case <-opened:
			looked = true
		case <-second.C:
		}
		if now := time.Now(); looked && now.Sub(sampled) >= time.Second/2 || now.Sub(sampled) >= idleStep {
			sampled = now
			for _, s := range c.sources {
				s.sample()
			}
		}
	}
}

// ServeHTTP implements http.Handler. The last element of the path says what is asked for, whatever
// the page is mounted under.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setHeader(w.Header())
	select {
	case <-c.closing:
		http.Error(w, "the console is closed", http.StatusServiceUnavailable)
		return
	default:
	}
	_, name := path.Split(r.URL.Path)
	switch {
	case c.cfg.Authorize != nil && !c.cfg.Authorize(r):
		http.Error(w, "not allowed", http.StatusForbidden)
	case c.cfg.Token != "" && name == "login":
		c.serveLogin(w, r)
	case !c.secrets.admit(r):
		c.refuse(w, r, name)
	default:
		c.route(w, r, name)
	}
}

// route answers a request that is allowed.
func (c *Console) route(w http.ResponseWriter, r *http.Request, name string) {
	method, serve := http.MethodGet, c.servePage
	switch name {
	case "":
	case "events":
		serve = c.serveEvents
	case "stats.json":
		serve = c.serveStats
	case "purge":
		method, serve = http.MethodPost, c.servePurge
	case "explain":
		method, serve = http.MethodPost, c.serveExplain
	case "stored":
		method, serve = http.MethodPost, c.serveStored
	case "logout":
		method, serve = http.MethodPost, c.serveLogout
	default:
		http.NotFound(w, r)
		return
	}
	headToo := method == http.MethodGet && name != "events"
	if r.Method != method && !(headToo && r.Method == http.MethodHead) {
		w.Header().Set("Allow", method)
		http.Error(w, "the method must be "+method, http.StatusMethodNotAllowed)
		return
	}
	if method == http.MethodPost {
		if err := c.secrets.checkPost(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	serve(w, r)
}

// serveStats answers with the Snapshot of one cache.
func (c *Console) serveStats(w http.ResponseWriter, r *http.Request) {
	s := c.source(r.URL.Query().Get("cache"))
	if s == nil {
		http.Error(w, "there is no such cache", http.StatusNotFound)
		return
	}
	writeJSON(w, http.StatusOK, s.cache.Stats())
}
