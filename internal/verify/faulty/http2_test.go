package faulty

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// For each Kind that Breaks or that HTTP/2 cannot express, a client gets an error. All other
// answers arrive whole.
func TestKindsToAnHTTP2Client(t *testing.T) {
	CheckGoroutines(t)
	for _, kind := range Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			answer := Answer{Kind: kind, Body: text, Trailer: http.Header{"X-Sum": {"1"}}}
			if kind.traits().ending == stalls {
				answer.Hold = closed()
			}
			origin := NewHTTP2Origin(t, script(answer))
			resp, body, err := get(t, TrackBodies(t, origin.Transport()), origin.URL+"/a")

			require.Equal(t, 1, origin.Count("/a"))
			require.Equal(t, "HTTP/2.0", origin.Requests("/a")[0].Proto)
			switch {
			case !kind.HTTP2():
				require.ErrorContains(t, err, "stream error")
				require.Nil(t, resp, "the client got the header")
			case kind == ShortBody:
				require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			case kind.Breaks():
				require.ErrorContains(t, err, "stream error")
				header := kind.traits().stage >= afterHeader
				require.Equal(t, header, resp != nil, "whether the client got the header")
			default:
				require.NoError(t, err)
				require.Equal(t, text, body)
				require.Equal(t, "1", resp.Trailer.Get("X-Sum"))
			}
		})
	}
}

func TestHTTP2EveryByteOfABody(t *testing.T) {
	CheckGoroutines(t)
	for at := 1; at < len(text); at++ {
		origin := NewHTTP2Origin(nil, script(Answer{Kind: ResetInBody, Body: text, Framing: Chunked, At: int64(at)}))
		_, body, err := get(t, origin.Transport(), origin.URL)
		require.Error(t, err)
		require.LessOrEqual(t, len(body), at, "a reset stream may lose bytes that were not read yet, but add none")
		require.Equal(t, text[:len(body)], body)
		origin.Close()
	}
}

// Close ends a stream that would otherwise hang.
func TestHTTP2Close(t *testing.T) {
	CheckGoroutines(t)
	asked := make(chan struct{})
	origin := NewHTTP2Origin(t, func(*http.Request) Answer {
		close(asked)
		return Answer{Kind: StallInBody}
	})
	go func() {
		<-asked
		origin.Close()
	}()
	_, _, err := get(t, TrackBodies(t, origin.Transport()), origin.URL)
	require.Error(t, err)
	_, _, err = get(t, TrackBodies(t, origin.Transport()), origin.URL)
	require.Error(t, err)
}
