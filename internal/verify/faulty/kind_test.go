package faulty

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const text = "All that is gold does not glitter"

// script gives every request the same answer.
func script(a Answer) func(*http.Request) Answer {
	return func(*http.Request) Answer { return a }
}

// closed returns a Hold that is closed already.
func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// newTransport returns a net/http transport that tracks its bodies.
func newTransport(t *testing.T) http.RoundTripper {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return TrackBodies(t, transport)
}

// get returns the response and the body of an answer, and the error of either.
func get(t *testing.T, transport http.RoundTripper, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		return nil, "", err
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestKindsHaveNames(t *testing.T) {
	names := make(map[string]Kind)
	for _, kind := range Kinds() {
		name := kind.String()
		require.NotEmpty(t, name)
		require.NotContains(t, names, name)
		names[name] = kind
	}
	require.Equal(t, None, names["none"])
	require.Equal(t, "Kind(200)", Kind(200).String())
	require.False(t, Kind(200).Breaks())
}

// In every framing, a client of net/http gets an error for each Kind that Breaks, and the right
// one. All other answers arrive whole.
func TestKindsToAClient(t *testing.T) {
	CheckGoroutines(t)
	const brokenHeader = "transport connection broken" // net/http gives no more detail
	errors := map[Kind]any{
		Refuse:            syscall.ECONNRESET,
		Hang:              syscall.ECONNRESET,
		StallInHeader:     brokenHeader,
		StallAfterHeader:  syscall.ECONNRESET,
		StallInBody:       syscall.ECONNRESET,
		ResetBeforeHeader: syscall.ECONNRESET,
		ResetInHeader:     brokenHeader,
		ResetAfterHeader:  syscall.ECONNRESET,
		ResetInBody:       syscall.ECONNRESET,
		CloseBeforeHeader: io.EOF,
		CloseInHeader:     brokenHeader,
		ShortBody:         io.ErrUnexpectedEOF,
		BadChunkSize:      "invalid byte in chunk length",
		TruncatedChunk:    io.ErrUnexpectedEOF,
		NoLastChunk:       io.ErrUnexpectedEOF,
		TwoLengths:        "Content-Length",
		BadStatusLine:     "malformed HTTP response",
		BadField:          "malformed MIME header",
	}
	for _, kind := range Kinds() {
		for _, framing := range []Framing{ByLength, Chunked, UntilClose} {
			t.Run(fmt.Sprint(kind, framing), func(t *testing.T) {
				answer := Answer{Kind: kind, Body: text, Framing: framing}
				if kind.traits().ending == stalls || kind == Refuse {
					answer.Hold = closed()
				}
				origin := NewOrigin(t, script(answer))
				resp, body, err := get(t, newTransport(t), origin.URL+"/a")

				require.Equal(t, 1, origin.Count("/a"))
				require.Equal(t, map[Kind]int{kind: 1}, origin.Faults())
				if !kind.Breaks() {
					require.NoError(t, err)
					require.Equal(t, text, body)
					require.Equal(t, kind == ServerError, resp.StatusCode == 500)
					return
				}
				switch want := errors[kind].(type) {
				case error:
					require.ErrorIs(t, err, want)
				case string:
					require.ErrorContains(t, err, want)
				default:
					t.Fatalf("no error expected, got %v", err)
				}
			})
		}
	}
}

// The concurrent answers of one origin do not disturb each other. Refuse is left out, because it
// breaks all connections on purpose.
func TestKindsAtOnce(t *testing.T) {
	CheckGoroutines(t)
	kinds := make(map[string]Kind)
	for _, kind := range Kinds() {
		if kind != Refuse {
			kinds["/"+kind.String()] = kind
		}
	}
	origin := NewOrigin(t, func(r *http.Request) Answer {
		answer := Answer{Kind: kinds[r.URL.Path], Body: text, Framing: Chunked}
		if answer.Kind.traits().ending == stalls {
			answer.Hold = closed()
		}
		return answer
	})
	transport := TrackBodies(t, &http.Transport{DisableKeepAlives: true})
	var wg sync.WaitGroup
	for path, kind := range kinds {
		for range 5 {
			wg.Go(func() {
				_, body, err := get(t, transport, origin.URL+path)
				assert.Equal(t, kind.Breaks(), err != nil, "%v: %v", kind, err)
				assert.True(t, kind.Breaks() || body == text, "%v: %q", kind, body)
			})
		}
	}
	wg.Wait()
	require.Equal(t, 5*len(kinds), origin.Total())
}

// Wherever a body breaks off, the client gets the bytes before that offset and an error.
func TestEveryByteOfABody(t *testing.T) {
	CheckGoroutines(t)
	transport := newTransport(t)
	for _, kind := range []Kind{ShortBody, ResetInBody, BadChunkSize, TruncatedChunk} {
		for at := 1; at < len(text); at++ {
			origin := NewOrigin(nil, script(Answer{Kind: kind, Body: text, At: int64(at)}))
			_, body, err := get(t, transport, origin.URL)
			require.Error(t, err, "%v at %d", kind, at)
			if kind == TruncatedChunk {
				body = body[:min(at, len(body))] // part of the broken chunk follows
			}
			require.Equal(t, text[:at], body, "%v at %d", kind, at)
			origin.Close()
		}
	}
}

func TestPlace(t *testing.T) {
	for _, c := range []struct{ at, size, want int64 }{
		{at: 0, size: 10, want: 5},
		{at: 0, size: Endless, want: 64 << 10},
		{at: 3, size: 10, want: 3},
		{at: 10, size: 10, want: 9},
		{at: -1, size: 10, want: 9},
		{at: -11, size: 10, want: 0},
		{at: 7, size: 0, want: 0},
	} {
		require.Equal(t, c.want, place(c.at, c.size), "%+v", c)
	}
}
