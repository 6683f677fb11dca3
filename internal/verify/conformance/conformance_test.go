package conformance_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/internal/verify/conformance"
	"github.com/cirquecache/cirque/internal/verify/conformance/conformancetest"
	"github.com/cirquecache/cirque/internal/verify/ledger"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	doors := conformance.Doors()
	if testing.Short() {
		doors = conformancetest.OneOfEach
	}
	conformancetest.Run(t, conformancetest.Options{Doors: doors})
}

// TestMiscountsAreFound shows that the numbers of a cache are compared with what goes in and out,
// with caches that count wrongly.
func TestMiscountsAreFound(t *testing.T) {
	if testing.Short() || os.Getenv("CIRQUE_LONG") == "" {
		t.Skip("only a change of the counters or of the comparison can change the result: .ci/run has it")
	}
	t.Parallel()
	for name, miscount := range ledger.Miscounts {
		t.Run(name, func(t *testing.T) {
			suite := conformancetest.NewSuite(conformancetest.Options{Miscount: miscount})
			for _, c := range conformance.Cases() {
				if c.SuitsDoor(conformance.InFrontOfProxy) && !c.Slow() {
					_ = suite.Run(t.Context(), &c, conformance.InFrontOfProxy)
				}
			}
			require.ErrorContains(t, suite.Close(), "count: ")
		})
	}
}

// TestExplainForetellsEachRequest compares what Explain says of a request with what the request
// then gets, for all requests of all cases.
func TestExplainForetellsEachRequest(t *testing.T) {
	t.Parallel()
	doors := conformance.Doors()
	if testing.Short() {
		doors = conformancetest.OneOfEach
	}
	var explained conformancetest.Explained
	t.Run("cases", func(t *testing.T) {
		conformancetest.Run(t, conformancetest.Options{Doors: doors, Explained: &explained})
	})
	for _, p := range []middleware.Prospect{
		middleware.WouldHit, middleware.WouldBeStale, middleware.WouldRevalidate, middleware.WouldValidate, middleware.WouldFetch,
		middleware.WouldFetchPart, middleware.WouldBypass, middleware.WouldFail,
	} {
		n := explained.Count(p)
		t.Logf("%s: %d", p, n)
		require.Positive(t, n, "no request was %s", p)
	}
}

// TestConformanceOverPlainStorage uses a Storage whose writes cannot be read while they are under
// way, and that finishes a write only after the client has had the whole body for some time.
func TestConformanceOverPlainStorage(t *testing.T) {
	if testing.Short() {
		t.Skip("the default storage will do")
	}
	t.Parallel()
	conformancetest.Run(t, conformancetest.Options{
		Doors:   conformancetest.OneOfEach,
		Storage: func() (cirque.Storage, error) { return plainStorage{memcache.New(memcache.Config{})}, nil },
	})
}

// plainStorage hides the optional capabilities of a Storage.
type plainStorage struct{ cirque.Storage }

func (s plainStorage) MissHandler(ctx context.Context, key cirque.CacheKey, meta *cirque.CacheMeta, opts cirque.MissOptions) (cirque.MissHandler, error) {
	handler, err := s.Storage.MissHandler(ctx, key, meta, opts)
	return tardy{handler}, err
}

// tardy finishes a write late.
type tardy struct{ cirque.MissHandler }

func (w tardy) Finish() (cirque.MissFinish, error) {
	time.Sleep(5 * time.Millisecond)
	return w.MissHandler.Finish()
}

func TestConformanceOverDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("the default storage will do")
	}
	t.Parallel()
	conformancetest.Run(t, conformancetest.Options{
		Doors:   conformancetest.OneOfEach,
		Storage: func() (cirque.Storage, error) { return openDisk(t) },
	})
}

func TestConformanceOverTier(t *testing.T) {
	if testing.Short() {
		t.Skip("the default storage will do")
	}
	t.Parallel()
	conformancetest.Run(t, conformancetest.Options{
		Doors: conformancetest.OneOfEach,
		Storage: func() (cirque.Storage, error) {
			disk, err := openDisk(t)
			if err != nil {
				return nil, err
			}
			return tiered.New(memcache.New(memcache.Config{}), disk, tiered.Config{}), nil
		},
	})
}

func openDisk(t *testing.T) (*diskcache.Store, error) {
	store, err := diskcache.Open(t.TempDir(), nil)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, store.Close()) })
	}
	return store, err
}
