package main

import (
	"io"
	"log"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // net/http logs the faults of the origins
	os.Exit(m.Run())
}

func shortRun(t *testing.T, front, storage, broken string, d time.Duration) bool {
	o := &options{
		duration: d, front: front, storage: storage, broken: broken, seed: 1, memory: 8 << 20, workers: 32, urls: 400,
		caches: 2, restart: 1200 * time.Millisecond, first: broken != "",
	}
	if broken == "" {
		o.restart = 2 * time.Second
	}
	ok, err := run(t.Context(), o, t.Output())
	require.NoError(t, err)
	return ok
}

func TestCleanRun(t *testing.T) {
	for front, storage := range map[string]string{frontHandler: "memory", frontTransport: "tiered"} {
		t.Run(front+"/"+storage, func(t *testing.T) {
			require.True(t, shortRun(t, front, storage, "", 2500*time.Millisecond))
		})
	}
}

// The oracle must find every broken cache. Each is tried at one front door; if CIRQUE_LONG is set,
// at all doors where its fault works.
func TestBrokenCachesAreCaught(t *testing.T) {
	fronts := []string{frontHandler, frontTransport}
	for n, broken := range slices.Sorted(maps.Keys(breakages)) {
		if broken == "" || testing.Short() && n%3 > 0 {
			continue
		}
		able := breakages[broken](nil).fronts
		if len(able) == 0 {
			able = fronts
		}
		for m, front := range able {
			if (n+m)%len(able) != 0 && os.Getenv("CIRQUE_LONG") == "" {
				continue
			}
			t.Run(broken+"/"+front, func(t *testing.T) {
				require.False(t, shortRun(t, front, "disk", broken, 30*time.Second), "the oracle did not find the fault")
			})
		}
	}
}
