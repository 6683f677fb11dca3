package conformance_test

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/internal/conformance"
	"github.com/cirquecache/cirque/middleware"
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
	suite := conformance.NewSuite(func(setup conformance.Setup) (conformance.Subject, error) {
		return middleware.New(config(setup))
	})
	run(t, suite, conformance.Doors())
}

// run runs every case through every door.
func run(t *testing.T, suite *conformance.Suite, doors []string) {
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
