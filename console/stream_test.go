package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 20 * time.Second

// events opens a stream of a server, until the test ends.
func events(t *testing.T, server *httptest.Server, query string) (response *http.Response, next func() (view, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", server.URL+"/events?"+query, nil)
	require.NoError(t, err)
	response, err = server.Client().Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	return response, func() (v view, err error) {
		line, err := lines.ReadString('\n')
		if err == nil {
			_, err = lines.ReadString('\n')
		}
		if err == nil {
			err = json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &v)
		}
		return v, err
	}
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = unknown
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

func TestStreamShowsWhatHappens(t *testing.T) {
	s := newSite(t, Config{})
	server := s.serve()
	response, next := events(t, server, "window=60&status=404")
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	first, err := next()
	require.NoError(t, err)
	require.NotNil(t, first.Series)
	require.Equal(t, "Cirque", first.Cache)
	require.Eventually(t, func() bool { return !s.console.sources[0].recordingSince().IsZero() }, patience, time.Millisecond)
	for range 3 {
		s.get("/a")
	}
	s.get("/private")
	s.get("/missing")
	v, err := next()
	for err == nil && v.Totals.Requests < 5 {
		require.LessOrEqual(t, len(v.Tail), 1)
		v, err = next()
	}
	require.NoError(t, err)
	require.InDelta(t, 2./5, float64(v.Totals.HitRatio), 0.001)
	require.Equal(t, "private", v.Uncached[0].Reason)
	require.Equal(t, "http://site.example/a", v.Recorded.Top["hits"][0].URL)
	tail, _, _ := s.console.sources[0].recorder.tailSince(0, &filter{status: "404"})
	require.Len(t, tail, 1)
	require.Equal(t, "http://site.example/missing", tail[0].URL)
}

func TestStreamsAreBounded(t *testing.T) {
	s := newSite(t, Config{MaxPages: 2})
	server := s.serve()
	first, _ := events(t, server, "")
	second, _ := events(t, server, "")
	third, _ := events(t, server, "")
	require.Equal(t, 200, first.StatusCode)
	require.Equal(t, 200, second.StatusCode)
	require.Equal(t, http.StatusServiceUnavailable, third.StatusCode)
	require.NotEmpty(t, third.Header.Get("Retry-After"))
	first.Body.Close()
	require.Eventually(t, func() bool {
		again, _ := events(t, server, "")
		return again.StatusCode == http.StatusOK
	}, patience, 10*time.Millisecond, "a place becomes free when a page closes")
}

// Shutdown waits for all requests, so the streams must end by themselves.
func TestStreamsEndWithTheirServer(t *testing.T) {
	s := newSite(t, Config{})
	server := s.serve()
	_, next := events(t, server, "")
	_, err := next()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	require.NoError(t, server.Config.Shutdown(ctx))
	for err == nil {
		_, err = next()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Empty(t, s.console.streams.servers)
}

func TestStreamsEndWithTheConsole(t *testing.T) {
	s := newSite(t, Config{})
	server := s.serve()
	_, next := events(t, server, "")
	_, err := next()
	require.NoError(t, err)
	s.console.Close()
	for err == nil {
		_, err = next()
	}
	require.ErrorIs(t, err, io.EOF)
	for _, path := range paths {
		require.Equal(t, http.StatusServiceUnavailable, s.ask("GET", path, "").Code, path)
	}
}

// stuck is the connection of a browser that accepts nothing.
type stuck struct {
	header  http.Header
	writing chan struct{}
	release chan struct{}
}

func (w *stuck) Header() http.Header { return w.header }
func (w *stuck) WriteHeader(int)     {}
func (w *stuck) Write([]byte) (int, error) {
	w.writing <- struct{}{}
	<-w.release
	return 0, errors.New("the browser is too slow")
}

// A browser that accepts nothing holds neither the cache nor other pages, and its stream ends.
func TestSlowBrowserHoldsNobody(t *testing.T) {
	s := newSite(t, Config{})
	w := &stuck{header: make(http.Header), writing: make(chan struct{}), release: make(chan struct{})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.console.ServeHTTP(w, httptest.NewRequest("GET", "http://console.example/events", nil))
	}()
	<-w.writing
	for range 3 * queueLength {
		s.get("/")
	}
	server := s.serve()
	_, next := events(t, server, "")
	for requests := uint64(0); requests < 3*queueLength; {
		v, err := next()
		require.NoError(t, err)
		requests = v.Totals.Requests
	}
	require.Equal(t, http.StatusOK, s.post("purge", `{"kind":"all"}`).Code)
	close(w.release)
	<-ended
}
