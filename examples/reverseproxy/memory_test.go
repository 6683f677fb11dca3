package main

import (
	"math"
	"net/http"
	"os"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func TestHeapLimitFollowsTheConnections(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	var limits []int64
	l := &heapLimit{cache: cache, set: func(bytes int64) { limits = append(limits, bytes) }}
	l.update(0)
	for range 600 {
		l.connState(nil, http.StateNew)
		l.connState(nil, http.StateActive)
	}
	for range 300 {
		l.connState(nil, http.StateClosed)
		l.connState(nil, http.StateNew)
		l.connState(nil, http.StateHijacked)
	}
	at := middleware.SoftMemoryLimit(cache) + 256*perConnection
	require.Equal(t, at, limits[0])
	require.Equal(t, at+256*perConnection, limits[1])
	require.Equal(t, at+512*perConnection, limits[2])
	for _, limit := range limits {
		require.GreaterOrEqual(t, limit, at)
	}
	require.EqualValues(t, 300, l.connections.Load())
}

func TestEnvironmentTakesPrecedenceOverTheHeapLimit(t *testing.T) {
	const none = math.MaxInt64
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	own := middleware.SoftMemoryLimit(cache) + limitStep*perConnection
	for _, c := range []struct {
		name, memlimit, gogc string
		limit                int64
		percent              int
	}{
		{"nothing is set", "", "", own, garbagePercent},
		{"GOGC is set", "", "50", own, 100},
		{"GOMEMLIMIT is set", "1GiB", "", none, 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range map[string]string{"GOMEMLIMIT": c.memlimit, "GOGC": c.gogc} {
				t.Setenv(name, value)
				if value == "" {
					require.NoError(t, os.Unsetenv(name))
				}
			}
			// As if the process had begun without the variables; it does not read them again.
			limit, percent := debug.SetMemoryLimit(none), debug.SetGCPercent(100)
			defer func() { debug.SetMemoryLimit(limit); debug.SetGCPercent(percent) }()
			newHeapLimit(cache)
			require.Equal(t, c.limit, debug.SetMemoryLimit(-1))
			require.Equal(t, c.percent, debug.SetGCPercent(100))
		})
	}
}
