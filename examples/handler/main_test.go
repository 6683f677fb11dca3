package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

func TestAPI(t *testing.T) {
	cache, err := middleware.New(middleware.Config{})
	require.NoError(t, err)
	server := httptest.NewServer(cache.Handler(newAPI()))
	defer server.Close()
	for _, step := range []struct {
		request, body string
		status        int
		hit           bool
		answer        string
	}{
		{"GET /articles/1", "", 200, false, `{"id":1,"title":"Gneiss"}`},
		{"GET /articles/1", "", 200, true, `{"id":1,"title":"Gneiss"}`},
		{"GET /articles", "", 200, false, `[{"id":1,"title":"Gneiss"},{"id":2,"title":"Schist"}]`},
		{"GET /articles", "", 200, true, `[{"id":1,"title":"Gneiss"},{"id":2,"title":"Schist"}]`},
		{"GET /articles/2", "", 200, false, `{"id":2,"title":"Schist"}`},
		{"PUT /articles/1", `{"title": "Granite"}`, 204, false, ""},
		{"GET /articles/1", "", 200, false, `{"id":1,"title":"Granite"}`},
		{"GET /articles", "", 200, false, `[{"id":1,"title":"Granite"},{"id":2,"title":"Schist"}]`},
		{"GET /articles/2", "", 200, true, `{"id":2,"title":"Schist"}`},
		{"GET /articles/9", "", 404, false, "no such article"},
		{"PUT /articles/1", "nonsense", 400, false, "want an article as JSON"},
		{"GET /articles/1", "", 200, true, `{"id":1,"title":"Granite"}`},
	} {
		method, path, _ := strings.Cut(step.request, " ")
		req, err := http.NewRequest(method, server.URL+path, strings.NewReader(step.body))
		require.NoError(t, err)
		if step.body == "" {
			req.Body, req.ContentLength = http.NoBody, 0
		}
		resp, err := server.Client().Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, step.status, resp.StatusCode, step.request)
		require.Equal(t, step.answer, strings.TrimSpace(string(body)), step.request)
		require.Equal(t, step.hit, strings.Contains(resp.Header.Get("Cache-Status"), "; hit"), step.request)
	}
}
