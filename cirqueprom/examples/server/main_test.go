package main

import (
	"io"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetricsShowWhatTheWebsiteDid(t *testing.T) {
	site, metrics, err := newServers()
	require.NoError(t, err)
	website, numbers := httptest.NewServer(site.Handler), httptest.NewServer(metrics.Handler)
	defer website.Close()
	defer numbers.Close()
	for range 3 {
		response, err := website.Client().Get(website.URL + "/news")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		response.Body.Close()
	}
	response, err := numbers.Client().Get(numbers.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `cirque_requests_total{cache="website",door="handler",result="hit"} 2`)
	require.Contains(t, string(text), `cirque_requests_total{cache="website",door="handler",result="miss"} 1`)
}
