package rules

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// RFC 9110 §7.6.1.
func TestConnectionFieldsAreRemoved(t *testing.T) {
	h := lines(
		"Connection: a, close", "Connection: B ,,c", "A: 1", "B: 2", "C: 3", "D: 4",
		"Keep-Alive: timeout=5", "Proxy-Connection: x", "TE: trailers", "Transfer-Encoding: chunked", "Upgrade: h2c",
	)
	require.True(t, RemoveConnectionFields(h))
	require.Equal(t, lines("D: 4"), h)
	require.False(t, RemoveConnectionFields(h))

	h = lines("Connection: upgrade, HTTP2-Settings, TE, Not-There", "HTTP2-Settings: x", "TE: trailers", "Upgrade: h2c")
	require.False(t, RemoveConnectionFields(h), "these fields are hop-by-hop even if they are not listed")
	require.Empty(t, h)
}

func TestConnectionCannotRemoveFieldsForAllRecipients(t *testing.T) {
	fields := []string{
		"Cache-Control: no-store", "CDN-Cache-Control: private", "Vary: Cookie", "Age: 5", "Expires: 0", "Date: x",
	}
	h := lines(append(fields, "Connection: cache-control, vary, age, expires, date, cdn-cache-control")...)
	require.False(t, RemoveConnectionFields(h))
	require.Equal(t, lines(fields...), h)
}

// RFC 9111 §3.1.
func TestStoredHeaderLeavesOutConnectionProxyAndTrailerFields(t *testing.T) {
	h := lines(
		"Set-Cookie: a=b", "Set-Cookie: c=d", "X-Odd!#$%&'*+.^_`|~Name: 1", "Content-Type: text/plain", "Age: 3",
		"Connection: x-hop", "X-Hop: 1", "Keep-Alive: 1", "Proxy-Authenticate: Basic",
		"Proxy-Authentication-Info: x", "Proxy-Authorization: y", "Trailer: X-Sum", "Secret: z",
	)
	h[http.TrailerPrefix+"X-Sum"] = []string{"1"}
	h["Suppressed"] = nil
	before := h.Clone()

	require.NotNil(t, StoredHeader(nil), "the caller may add to the result")
	got := StoredHeader(h, "Secret", "Not-There")
	require.Equal(t, lines(
		"Set-Cookie: a=b", "Set-Cookie: c=d", "X-Odd!#$%&'*+.^_`|~Name: 1", "Content-Type: text/plain", "Age: 3",
	), got)
	require.Equal(t, before, h, "the caller's header must stay as it is")

	require.True(t, storableWhole(got))
	for name, lines := range h {
		// Alone, X-Hop is listed by no Connection, and Secret is named by no except.
		alone := got[name] != nil || name == "X-Hop" || name == "Secret"
		require.Equal(t, alone, storableWhole(http.Header{name: lines}), name)
	}
}

func TestHeaderSizeCountsLinesAsHTTP1(t *testing.T) {
	h := lines("A: 12", "A: 3", "Bc: ", "Cookie: "+strings.Repeat("x", 100))
	require.Equal(t, len("A: 12\r\nA: 3\r\nBc: \r\n"), headerSize(h, []string{"Cookie"}))
}
