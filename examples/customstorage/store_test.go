package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(testing.TB) cirque.Storage { return newStore() }, storagetest.Features{})
}

func TestHandler(t *testing.T) {
	handler, err := newHandler()
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	do := func(method, path string) (*http.Response, string) {
		req, err := http.NewRequest(method, server.URL+path, nil)
		require.NoError(t, err)
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(body)
	}
	_, fetched := do("GET", "/squares/5000")
	resp, stored := do("GET", "/squares/5000")
	require.Contains(t, resp.Header.Get("Cache-Status"), "hit")
	require.Equal(t, fetched, stored)
	require.Contains(t, stored, "4999 squared is 24990001\n")

	_, report := do("GET", "/storage")
	require.Regexp(t, `^1 bodies of 1\d{5} bytes are kept in [1-5]\d{4}; with`, report)

	purged, _ := do("PURGE", "/squares/5000")
	require.Equal(t, http.StatusOK, purged.StatusCode)
	resp, _ = do("GET", "/squares/5000")
	require.NotContains(t, resp.Header.Get("Cache-Status"), "hit")
}
