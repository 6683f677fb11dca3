// Package conformancetest runs the conformance suite in a test.
package conformancetest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/conformance"
	"github.com/cirquecache/cirque/internal/verify/ledger"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// OneOfEach is a handler door and a transport door, for tests that are not about the doors.
var OneOfEach = []string{conformance.InFrontOfProxy, conformance.InClient}

// Options say what to run.
type Options struct {
	// Doors are the doors that every case goes through.
	Doors []string

	// Storage opens a Storage for each configuration that cases need. Nil means the default
	// Storage.
	Storage func() (cirque.Storage, error)

	// Explained, if not nil, makes the cache explain each request before it comes, and compares
	// that with what happens.
	Explained *Explained

	// Miscount, if not nil, makes the caches count wrongly: one of ledger.Miscounts.
	Miscount func(*middleware.Config) func(*stats.Snapshot)

	// NoSeek skips the cases that need hits that can seek.
	NoSeek bool
}

// Run runs every case through each door, as subtests.
func Run(t *testing.T, opts Options) {
	suite := NewSuite(opts)
	t.Cleanup(func() { require.NoError(t, suite.Close()) })
	var doors sync.WaitGroup
	for _, door := range opts.Doors {
		doors.Go(func() {
			t.Run(door, func(t *testing.T) { runCases(t, suite, door, opts) })
		})
	}
	doors.Wait()
}

// NewSuite returns the suite that Run runs.
func NewSuite(opts Options) *conformance.Suite {
	return conformance.NewSuite(func(setup conformance.Setup) (conformance.Subject, error) {
		cfg := config(setup)
		if opts.Storage != nil {
			var err error
			if cfg.Storage, err = opts.Storage(); err != nil {
				return nil, err
			}
		}
		lock := newLock()
		cfg.Lock = lock
		var miscount func(*stats.Snapshot)
		if opts.Miscount != nil {
			miscount = opts.Miscount(&cfg)
		}
		cache, err := middleware.New(cfg)
		s := &subject{Cache: cache, lock: lock, miscount: miscount}
		if err != nil || opts.Explained == nil {
			return s, err
		}
		return &explainedSubject{
			subject: s, count: opts.Explained, busy: make(map[string]int), came: make(map[string]int),
			sent: make(map[string][]string),
		}, nil
	})
}

// workers is how many cases run at a time at each door. Cases mostly wait for connections, and a
// few for the clock, so the number does not depend on the number of processors as it would with
// t.Parallel.
const workers = 16

func runCases(t *testing.T, suite *conformance.Suite, door string, opts Options) {
	cases := make(chan conformance.Case)
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for c := range cases {
				t.Run(c.Name, func(t *testing.T) {
					if c.Seeks && opts.NoSeek {
						t.Skip("hits cannot seek")
					}
					if err := suite.Run(t.Context(), &c, door); err != nil {
						t.Errorf("%s %s: %v", c.Section, c.Level, err)
					}
				})
			}
		})
	}
	for _, c := range conformance.Cases() {
		if c.SuitsDoor(door) {
			cases <- c
		}
	}
	close(cases)
	running.Wait()
}

// subject is a cache under test. What it counts is compared with what goes in and out.
type subject struct {
	*middleware.Cache
	*lock
	ledger   ledger.Ledger
	miscount func(*stats.Snapshot) // nil: the numbers stay as they are
}

// Handler implements conformance.Subject.
func (s *subject) Handler(next http.Handler) http.Handler { return s.ledger.Handler(s.Cache, next) }

// Transport implements conformance.Subject.
func (s *subject) Transport(base http.RoundTripper) http.RoundTripper {
	return s.ledger.Transport(s.Cache, base)
}

// Close implements conformance.Subject. Its error is also what the cache has counted wrongly.
func (s *subject) Close(ctx context.Context) error {
	err := s.Cache.Close(ctx)
	counted := s.Cache.Stats()
	if s.miscount != nil {
		s.miscount(&counted)
	}
	return errors.Join(err, s.ledger.Compare(counted))
}

func config(setup conformance.Setup) middleware.Config {
	cfg := middleware.Config{
		MaxBytes:             64 << 20,
		Private:              setup.Private,
		SingleUser:           setup.SingleUser,
		CacheStatusKey:       setup.CacheStatusKey,
		StoreServerErrors:    setup.StoreServerErrors,
		StaleWhileRevalidate: setup.StaleWhileRevalidate,
		StaleIfError:         setup.StaleIfError,
	}
	if setup.ForwardRanges {
		cfg.Ranges = middleware.RangesForward
	}
	switch {
	case setup.KeepSetCookie:
		cfg.SetCookie = rules.SetCookieKeep
	case setup.RefuseSetCookie:
		cfg.SetCookie = rules.SetCookieRefuse
	}
	return cfg
}
