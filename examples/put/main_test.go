package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPutAndGet(t *testing.T) {
	handler, err := newServer(1 << 20)
	require.NoError(t, err)
	server := httptest.NewServer(handler)
	defer server.Close()
	do := func(method, path, body string) (*http.Response, string) {
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		require.NoError(t, err)
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(got)
	}
	const ok = "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\n"
	for _, test := range []struct {
		wire        string
		put, get    int
		body, field string
	}{
		{"nonsense\r\n\r\n", http.StatusBadRequest, http.StatusNotFound, "nothing was put here\n", ""},
		{"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n\r\n", http.StatusUnprocessableEntity, http.StatusNotFound, "nothing was put here\n", ""},
		{ok + "Content-Length: 10\r\n\r\nHello", http.StatusBadRequest, http.StatusNotFound, "nothing was put here\n", ""},
		{ok + "\r\n" + strings.Repeat("x", 1<<18), http.StatusUnprocessableEntity, http.StatusNotFound, "nothing was put here\n", ""},
		{ok + "X-Test: 1\r\n\r\nHello", http.StatusCreated, http.StatusOK, "Hello", "1"},
		{"HTTP/1.1 404 Not Found\r\nCache-Control: max-age=60\r\n\r\nGone", http.StatusCreated, http.StatusNotFound, "Gone", ""},
		{ok + "Age: 61\r\nEtag: \"x\"\r\n\r\nHello", http.StatusCreated, http.StatusNotFound, "what was put here is stale\n", ""},
	} {
		put, message := do("PUT", "/page", test.wire)
		require.Equal(t, test.put, put.StatusCode, message)
		get, body := do("GET", "/page", "")
		require.Equal(t, test.get, get.StatusCode)
		require.Equal(t, test.body, body)
		require.Equal(t, test.field, get.Header.Get("X-Test"))
	}
}
