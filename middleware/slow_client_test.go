package middleware_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/memcache"
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

// Clients that stall while they read large bodies keep those from being freed. Small entries are
// not evicted for that. After StallTimeout, such clients are dropped when their room is needed.
func TestStalledClientsEvictNothingAndAreDropped(t *testing.T) {
	const large = 8 << 20
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		w.Header().Set("Content-Type", "text/plain")
		size := 1000
		if strings.HasPrefix(r.URL.Path, "/large") {
			size = large
		}
		w.Header().Set("Content-Length", strconv.Itoa(size))
		io.WriteString(w, strings.Repeat("x", size))
	}
	cfg := middleware.Config{MaxBytes: 8 * large, StallTimeout: 500 * time.Millisecond}
	// A proxy behind its own server reads on, whatever its client does.
	for _, door := range []string{"handler"} {
		t.Run(door, func(t *testing.T) {
			h := newHarness(t, door, cfg, origin)
			for i := range 50 {
				h.get(fmt.Sprint("/small/", i))
			}
			var stalled []io.ReadCloser
			for i := range 7 {
				path := fmt.Sprint("/large/", i)
				require.Contains(t, h.get(path).status(), "; stored")
				require.NoError(t, h.cache.Wait(t.Context()))
				body := stall(t, h.front.URL+path)
				defer body.Close()
				stalled = append(stalled, body)
			}
			for i := range 10 {
				got := h.get(fmt.Sprint("/large/more/", i))
				require.NoError(t, got.err)
				require.Len(t, got.body, large)
			}
			require.NoError(t, h.cache.Wait(t.Context()))
			for i := range 50 {
				require.Contains(t, h.get(fmt.Sprint("/small/", i)).status(), "; hit")
			}
			// The predictor remembers for a while that a body found no room, so each URL is used
			// once.
			n := 0
			eventually(t, func() bool {
				n++
				h.get(fmt.Sprint("/large/later/", n))
				return strings.Contains(h.get(fmt.Sprint("/large/later/", n)).status(), "; hit")
			}, "the stalled clients are dropped and a large body is stored")
			dropped := 0
			for _, body := range stalled {
				if n, err := io.Copy(io.Discard, body); err != nil {
					dropped++
				} else {
					require.EqualValues(t, large-1, n)
				}
			}
			require.NotZero(t, dropped)
		})
	}
}

// oneRequestTransport sends each request over a connection of its own, which has little room for
// bytes that are not read yet.
var oneRequestTransport = &http.Transport{
	DisableCompression: true,
	DisableKeepAlives:  true,
	DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
		}
		return conn, err
	},
}

// stall requests url, reads one byte, and returns the rest of the body.
func stall(t *testing.T, url string) io.ReadCloser {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := oneRequestTransport.RoundTrip(r)
	require.NoError(t, err)
	require.Contains(t, resp.Header.Get("Cache-Status"), "; hit")
	_, err = io.ReadFull(resp.Body, make([]byte, 1))
	require.NoError(t, err)
	return resp.Body
}

// The spool beside a Storage that does not stream takes its memory back from stalled callers in the
// same way.
func TestStalledCallersOfTheSpoolAreDropped(t *testing.T) {
	const large = 1 << 20
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, strings.Repeat("x", large))
	}
	synctest.Test(t, func(t *testing.T) {
		storage := notStreaming{memcache.New(memcache.Config{})}
		cache := newCache(t, middleware.Config{Storage: storage, MaxBytes: 4 * large, MaxObjectBytes: large})
		b := &bubble{t: t, cache: cache, door: cache.Transport(serving{http.HandlerFunc(origin)})}
		var bodies []io.ReadCloser
		for i := range 3 {
			resp, err := b.ask(t.Context(), http.MethodGet, fmt.Sprint("/", i))
			require.NoError(t, err)
			_, err = io.ReadFull(resp.Body, make([]byte, 1))
			require.NoError(t, err)
			bodies = append(bodies, resp.Body)
			synctest.Wait()
		}
		time.Sleep(40 * time.Second)
		// One more body finds no room beside them. Its caller gets all of it.
		resp, err := b.ask(t.Context(), http.MethodGet, "/more")
		require.NoError(t, err)
		_, err = io.ReadFull(resp.Body, make([]byte, 1))
		require.NoError(t, err)
		synctest.Wait()
		require.Len(t, b.get("/another").body, large)
		synctest.Wait()
		for _, body := range bodies {
			_, err = io.Copy(io.Discard, body)
			require.ErrorIs(t, err, cirque.ErrSlowReader)
			require.NoError(t, body.Close())
		}
		n, err := io.Copy(io.Discard, resp.Body)
		require.NoError(t, err)
		require.EqualValues(t, large-1, n)
		require.NoError(t, resp.Body.Close())
		synctest.Wait()
	})
}

// A caller of the Transport that stalls gets an error when its memory is needed, and not before.
func TestStalledCallersOfTheTransportAreDropped(t *testing.T) {
	const large = 1 << 20
	origin := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=600")
		io.WriteString(w, strings.Repeat("x", large))
	}
	synctest.Test(t, func(t *testing.T) {
		cache := newCache(t, middleware.Config{MaxBytes: 8 * large, MaxObjectBytes: 2 * large})
		b := &bubble{t: t, cache: cache, door: cache.Transport(serving{http.HandlerFunc(origin)})}
		var bodies []io.ReadCloser
		for i := range 5 {
			path := fmt.Sprint("/", i)
			b.get(path)
			synctest.Wait()
			resp, err := b.ask(t.Context(), http.MethodGet, path)
			require.NoError(t, err)
			require.Contains(t, resp.Header.Get("Cache-Status"), "; hit")
			_, err = io.ReadFull(resp.Body, make([]byte, 1))
			require.NoError(t, err)
			bodies = append(bodies, resp.Body)
		}
		more := func(name string) {
			for i := range 5 {
				b.get(fmt.Sprint("/", name, i))
				synctest.Wait()
			}
		}
		more("soon")
		_, err := io.ReadFull(bodies[0], make([]byte, 1))
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		_, err = io.ReadFull(bodies[1], make([]byte, 1))
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		more("later")
		_, err = io.ReadFull(bodies[1], make([]byte, 1))
		require.NoError(t, err, "a caller that reads on must get no error")
		for _, body := range []io.ReadCloser{bodies[0], bodies[2], bodies[3], bodies[4]} {
			_, err = io.Copy(io.Discard, body)
			require.ErrorIs(t, err, cirque.ErrSlowReader)
		}
		n, err := io.Copy(io.Discard, bodies[1])
		require.NoError(t, err)
		require.EqualValues(t, large-3, n)
		for _, body := range bodies {
			require.NoError(t, body.Close())
		}
		more("after")
		require.Contains(t, b.get("/after4").status(), "; hit")
		synctest.Wait()
	})
}
