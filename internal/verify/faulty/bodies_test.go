package faulty

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTrackBodies(t *testing.T) {
	CheckGoroutines(t)
	origin := NewOrigin(t, InTurn(Answer{Body: text}, Answer{Status: 304}))
	var test recorder
	bodies := TrackBodies(&test, nil)
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	ask := func() io.Closer {
		r, err := http.NewRequest("GET", origin.URL+"/a", nil)
		require.NoError(t, err)
		resp, err := bodies.RoundTrip(r)
		require.NoError(t, err)
		return resp.Body
	}
	whole, notModified := ask(), ask()
	require.Equal(t, 2, bodies.Opened())
	require.Equal(t, []string{
		"GET " + origin.URL + "/a: 200 OK",
		"GET " + origin.URL + "/a: 304 Not Modified",
	}, bodies.Open())
	require.NoError(t, whole.Close())
	require.NoError(t, whole.Close())

	test.finishFailing(t)
	require.Len(t, test.failures, 1)
	require.Contains(t, test.failures[0], "1 response bodies were never closed:\nGET "+origin.URL+"/a: 304")

	require.NoError(t, notModified.Close())
	test.failures = nil
	test.finish()
	require.Empty(t, test.failures)
}

// The body of a protocol switch remains an io.Writer.
func TestTrackBodiesOfUpgrades(t *testing.T) {
	CheckGoroutines(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "echo")
		w.WriteHeader(http.StatusSwitchingProtocols)
		conn, in, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		io.CopyN(conn, in, 4)
	}))
	defer server.Close()
	r, err := http.NewRequest("GET", server.URL, nil)
	require.NoError(t, err)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	resp, err := newTransport(t).RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.WriteString(resp.Body.(io.Writer), "echo")
	require.NoError(t, err)
	got, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, "echo", string(got))
}
