package middleware_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// A client that reads an unstored response slowly slows down the origin. The origin is not taken
// for idle, and the client gets the whole body.
func TestSlowClientDoesNotMakeTheOriginIdle(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 64<<10) // 1 MiB, in one write
	origin := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cache-Control", "max-age=60")
		io.WriteString(w, body)
	}
	cfg := middleware.Config{MaxObjectBytes: 1000, FillIdle: 4 * time.Second}
	eachBubble(t, cfg, origin, func(t *testing.T, b *bubble) {
		response, err := b.ask(t.Context(), http.MethodGet, "/")
		require.NoError(t, err)
		defer response.Body.Close()
		piece := make([]byte, 8<<10)
		for rest := body; rest != ""; rest = rest[len(piece):] {
			time.Sleep(5 * time.Second)
			_, err := io.ReadFull(response.Body, piece)
			require.NoError(t, err)
			require.True(t, string(piece) == rest[:len(piece)])
		}
		n, err := response.Body.Read(piece)
		require.Zero(t, n)
		require.Equal(t, io.EOF, err)
	})
}

// A client that has not read a stored response does not take up a place for a fill.
func TestSlowClientTakesUpNoPlaceForAFill(t *testing.T) {
	eachBubble(t, middleware.Config{MaxFills: 1}, fresh("stored"), func(t *testing.T, b *bubble) {
		var slow []io.Closer
		for _, path := range []string{"/1", "/2", "/3"} {
			response, err := b.ask(t.Context(), http.MethodGet, path)
			require.NoError(t, err)
			require.Contains(t, response.Header.Get("Cache-Status"), "; stored")
			slow = append(slow, response.Body)
			synctest.Wait()
		}
		for _, body := range slow {
			require.NoError(t, body.Close())
		}
	})
}
