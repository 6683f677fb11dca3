package main

import (
	"net/http"
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
