package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// output collects what the spans are printed to.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestSpansAndMetricsShowWhatTheWebsiteDid(t *testing.T) {
	var printed output
	site, metrics, err := newServers(&printed)
	require.NoError(t, err)
	website, numbers := httptest.NewServer(site.Handler), httptest.NewServer(metrics.Handler)
	defer website.Close()
	defer numbers.Close()
	for range 2 {
		response, err := website.Client().Get(website.URL + "/news")
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		response.Body.Close()
	}
	require.Eventually(t, func() bool { return strings.Count(printed.String(), "GET ") == 2 }, 10*time.Second, time.Millisecond)
	require.Contains(t, printed.String(), "cirque.result=miss")
	require.Contains(t, printed.String(), "cirque.result=hit")
	require.Regexp(t, `(?m)^cache\.fill .* linked to [0-9a-f]{16} .*cirque\.stored=true`, printed.String())
	require.Regexp(t, `(?m)^cache\.lookup .* of [0-9a-f]{16} .*cirque\.phase=Hit`, printed.String())

	response, err := numbers.Client().Get(numbers.URL)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(text), `"cirque.requests"`)
	require.Contains(t, string(text), `"cirque.request.duration"`)
}
