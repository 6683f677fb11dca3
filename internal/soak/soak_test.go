package main

import (
	"io"
	"log"
	"os"
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
			require.True(t, shortRun(t, front, "", 1500*time.Millisecond))
		})
	}
}

// An oracle that finds nothing is worth as much as what it can find.
func TestBrokenCachesAreCaught(t *testing.T) {
	for broken := range breakages {
		if broken == "" {
			continue
		}
		for _, front := range []string{frontHandler, frontTransport} {
			t.Run(broken+"/"+front, func(t *testing.T) {
				require.False(t, shortRun(t, front, broken, 30*time.Second), "nobody noticed")
			})
		}
	}
}
