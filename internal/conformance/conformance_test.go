package conformance_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/diskcache"
	"github.com/cirquecache/cirque/internal/conformance"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/tiered"
)

// Cases wait for the network and, a few of them, for the clock; they should not wait for each other.
func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "32")
	m.Run()
}

func config(setup conformance.Setup) middleware.Config {
	cfg := middleware.Config{
		MaxBytes:             64 << 20,
		Private:              setup.Private,
		SingleUser:           setup.SingleUser,
		CacheStatusKey:       setup.CacheStatusKey,
		StaleWhileRevalidate: setup.StaleWhileRevalidate,
		StaleIfError:         setup.StaleIfError,
	}
	if setup.ForwardRanges {
		cfg.Ranges = middleware.RangesForward
	}
	return cfg
}

func TestConformance(t *testing.T) {
	doors := conformance.Doors()
	if testing.Short() {
		doors = oneOfEachDoor
	}
	run(t, doors, func(conformance.Setup) (cirque.Storage, error) { return nil, nil })
}

// TestConformanceOverPlainStorage: a storage whose writes can't be read while they are under way.
func TestConformanceOverPlainStorage(t *testing.T) {
	if testing.Short() {
		t.Skip("the default storage will do")
	}
	run(t, oneOfEachDoor, func(conformance.Setup) (cirque.Storage, error) {
		return plainStorage{memcache.New(memcache.Config{})}, nil
	})
}

// plainStorage hides what is more than a Storage.
type plainStorage struct{ cirque.Storage }

func TestConformanceOverDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("the default storage will do")
	}
	run(t, oneOfEachDoor, func(conformance.Setup) (cirque.Storage, error) {
		store, err := diskcache.Open(t.TempDir(), nil)
		if err == nil {
			t.Cleanup(func() { require.NoError(t, store.Close()) })
		}
		return store, err
	})
}

func TestConformanceOverMemoryAndDisk(t *testing.T) {
	run(t, oneOfEachDoor, func(conformance.Setup) (cirque.Storage, error) {
		store, err := diskcache.Open(t.TempDir(), nil)
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return tiered.New(memcache.New(memcache.Config{}), store, tiered.Config{}), nil
	})
}

var oneOfEachDoor = []string{conformance.InFrontOfProxy, conformance.InClient}

// run runs every case through every door, over a storage of its own for each Setup.
func run(t *testing.T, doors []string, storage func(conformance.Setup) (cirque.Storage, error)) {
	suite := conformance.NewSuite(func(setup conformance.Setup) (conformance.Subject, error) {
		cfg := config(setup)
		var err error
		if cfg.Storage, err = storage(setup); err != nil {
			return nil, err
		}
		return middleware.New(cfg)
	})
	t.Cleanup(func() { require.NoError(t, suite.Close()) })
	for _, door := range doors {
		t.Run(door, func(t *testing.T) {
			for _, c := range conformance.Cases() {
				if !c.SuitsDoor(door) {
					continue
				}
				t.Run(c.Name, func(t *testing.T) {
					t.Parallel()
					if err := suite.Run(t.Context(), &c, door); err != nil {
						t.Errorf("%s %s: %v", c.Section, c.Level, err)
					}
				})
			}
		})
	}
}
