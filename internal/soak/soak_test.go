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
	log.SetOutput(io.Discard) // net/http complains there about the origins
	os.Exit(m.Run())
}

func shortRun(t *testing.T, front, broken string, d time.Duration) bool {
	o := &options{
		duration: d, front: front, storage: "memory", broken: broken, seed: 1, memory: 4 << 20, workers: 32, urls: 400,
		first: broken != "",
	}
	ok, err := run(t.Context(), o, t.Output())
	require.NoError(t, err)
	return ok
}

func TestCleanRun(t *testing.T) {
	for _, front := range []string{frontHandler, frontTransport} {
		t.Run(front, func(t *testing.T) {
			require.True(t, shortRun(t, front, "", time.Second))
		})
	}
}

// An oracle that finds nothing is worth as much as what it can find. CIRQUE_LONG has it look through both doors.
func TestBrokenCachesAreCaught(t *testing.T) {
	fronts := []string{frontHandler, frontTransport}
	for n, broken := range slices.Sorted(maps.Keys(breakages)) {
		if broken == "" {
			continue
		}
		for m, front := range fronts {
			if (n+m)%len(fronts) != 0 && os.Getenv("CIRQUE_LONG") == "" {
				continue
			}
			t.Run(broken+"/"+front, func(t *testing.T) {
				require.False(t, shortRun(t, front, broken, 30*time.Second), "nobody noticed")
			})
		}
	}
}
