package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refusing returns a URL at which no server listens.
func refusing(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	return "http://" + listener.Addr().String()
}

func TestForwardsTheRequestWithoutFalseClaims(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		var got *http.Request
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			got = r.Clone(context.Background())
			w.Header().Set("Cache-Control", "no-store")
		})
		p := start(t, "-front", front, "-origin", origin+"/below")
		req, err := http.NewRequest("GET", p.url+"/a%2Fb?x=1;y=2&&x=3", nil)
		require.NoError(t, err)
		req.Host = "www.example.com"
		for _, name := range []string{
			"X-Original-URL", "X-Rewrite-URL", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
			"X-Forwarded-Prefix", "X-Forwarded-Port",
		} {
			req.Header.Set(name, "lie")
		}
		req.Header.Set("Accept-Encoding", "br")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		resp.Body.Close()

		require.Equal(t, "www.example.com", got.Host)
		require.Equal(t, "/below/a%2Fb?x=1;y=2&&x=3", got.RequestURI)
		require.Equal(t, "br", got.Header.Get("Accept-Encoding"))
		require.Equal(t, []string{"127.0.0.1"}, got.Header["X-Forwarded-For"])
		require.Equal(t, []string{"www.example.com"}, got.Header["X-Forwarded-Host"])
		require.Equal(t, []string{"http"}, got.Header["X-Forwarded-Proto"])
		for name, values := range got.Header {
			require.NotContains(t, values, "lie", name)
		}
	})
}

// Behind a proxy that ends TLS, the origin gets the scheme and host that clients use. The cache
// uses them too, so an https client never gets the redirect from http to https.
func TestPublicOrigin(t *testing.T) {
	for public, want := range map[string][]string{
		"https://www.example.com": {"https", "www.example.com"},
		"https://*":               {"https", "other.example"},
		"http://[::1]:81":         {"http", "[::1]:81"},
	} {
		eachFront(t, func(t *testing.T, front string) {
			origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				fmt.Fprint(w, r.Header["X-Forwarded-Proto"], r.Header["X-Forwarded-Host"])
			})
			p := start(t, "-front", front, "-origin", origin, "-public-origin", public)
			ask := func(method string) (int, string) {
				req, err := http.NewRequest(method, p.url+"/", nil)
				require.NoError(t, err)
				req.Host = "other.example"
				resp, err := http.DefaultClient.Do(req)
				require.NoError(t, err)
				defer resp.Body.Close()
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				return resp.StatusCode, string(body)
			}
			_, body := ask("GET")
			require.Equal(t, fmt.Sprint(want[:1], want[1:]), body)
			status, _ := ask("PURGE")
			require.Equal(t, http.StatusOK, status)
		})
	}
}

// The fields that are removed before the origin gets the request make no variants.
func TestFalseClaimsDoNotReachTheCache(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		var asked atomic.Int64
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Vary", "X-Forwarded-Proto, Forwarded")
		})
		p := start(t, "-front", front, "-origin", origin)
		isHit := func(lie string) bool {
			req, err := http.NewRequest("GET", p.url, nil)
			require.NoError(t, err)
			if lie != "" {
				req.Header.Set("X-Forwarded-Proto", lie)
				req.Header.Set("Forwarded", "proto="+lie)
			}
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			resp.Body.Close()
			return strings.Contains(resp.Header.Get("Cache-Status"), "; hit")
		}
		// A client may have its answer a moment before the response is stored.
		require.Eventually(t, func() bool { return isHit("") }, 10*time.Second, time.Millisecond)
		before := asked.Load()
		for i := range 3 {
			require.True(t, isHit(fmt.Sprint("lie", i)))
		}
		require.Equal(t, before, asked.Load())
	})
}

func TestForwardsInterimResponses(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		hinted := make(chan struct{})
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			<-hinted // send the final answer after the client has the interim one
			w.Header().Del("Link")
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "final")
		})
		p := start(t, "-front", front, "-origin", origin)
		var link string
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(status int, header textproto.MIMEHeader) error {
				link = fmt.Sprint(status, " ", header.Get("Link"))
				close(hinted)
				return nil
			},
		})
		req, err := http.NewRequestWithContext(ctx, "GET", p.url, nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err)
		require.Equal(t, "103 </style.css>; rel=preload", link)
		require.Equal(t, "final", string(body))
		require.Empty(t, resp.Header.Get("Link"))
	})
}

func TestUpgrades(t *testing.T) {
	origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		rw.Flush()
		io.Copy(conn, rw) // an echo server
	})
	for _, verbose := range []string{"-v=false", "-v"} {
		eachFront(t, func(t *testing.T, front string) {
			p := start(t, "-front", front, "-origin", origin, verbose)
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			fmt.Fprint(conn, "GET /chat HTTP/1.1\r\nHost: example.com\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			reader := bufio.NewReader(conn)
			resp, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusSwitchingProtocols, resp.StatusCode)
			require.Equal(t, "echo", resp.Header.Get("Upgrade"))
			for _, message := range []string{"one", "\x00\xff two"} {
				_, err = io.WriteString(conn, message)
				require.NoError(t, err)
				echo := make([]byte, len(message))
				_, err = io.ReadFull(reader, echo)
				require.NoError(t, err)
				require.Equal(t, message, string(echo))
			}
		})
	}
}

func TestStreamsEvents(t *testing.T) {
	for _, verbose := range []string{"-v=false", "-v"} {
		eachFront(t, func(t *testing.T, front string) {
			next, left := make(chan struct{}), make(chan struct{})
			origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				defer close(left)
				w.Header().Set("Content-Type", "text/event-stream")
				for n := 1; ; n++ {
					fmt.Fprintf(w, "data: %d\n\n", n)
					w.(http.Flusher).Flush()
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			})
			p := start(t, "-front", front, "-origin", origin, verbose)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			req, err := http.NewRequestWithContext(ctx, "GET", p.url, nil)
			require.NoError(t, err)
			resp, err := http.DefaultClient.Do(req)
			require.NoError(t, err)
			defer resp.Body.Close()
			events := bufio.NewReader(resp.Body)
			for n := 1; n <= 3; n++ {
				// The origin sends the next event only when this one has arrived.
				event, err := events.ReadString('\n')
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("data: %d\n", n), event)
				_, err = events.ReadString('\n')
				require.NoError(t, err)
				next <- struct{}{}
			}
			resp.Body.Close()
			select {
			case <-left: // the origin notices that the client has left
			case <-ctx.Done():
				t.Fatal("the origin still sends after the client has left")
			}
		})
	}
}

func TestRefusedOrigin(t *testing.T) {
	eachFront(t, func(t *testing.T, front string) {
		p := start(t, "-front", front, "-origin", refusing(t))
		for range 2 {
			resp, body := ask(t, "GET", p.url)
			require.Equal(t, http.StatusBadGateway, resp.StatusCode)
			require.Equal(t, "the origin did not answer\n", body)
		}
		require.Zero(t, p.stop())
		require.Empty(t, p.log.String())
	})
}

func TestPurgesFromLoopbackOnly(t *testing.T) {
	for _, test := range []struct {
		client, field string
		may           bool
	}{
		{"127.0.0.1:1", "", true},
		{"127.3.2.1:1", "", true},
		{"[::1]:1", "", true},
		{"[::ffff:127.0.0.1]:1", "", true},
		{"192.0.2.1:1", "", false},
		{"[2001:db8::1]:1", "", false},
		{"@", "", false},
		{"", "", false},
		{"127.0.0.1:1", "X-Forwarded-For", false},
		{"127.0.0.1:1", "Forwarded", false},
	} {
		r := httptest.NewRequest("PURGE", "/", nil)
		r.RemoteAddr = test.client
		if test.field != "" {
			r.Header[test.field] = []string{""}
		}
		require.Equal(t, test.may, mayPurge(r), "%+v", test)
	}
	eachFront(t, func(t *testing.T, front string) {
		p := start(t, "-front", front)
		ask(t, "GET", p.url)
		for _, field := range []string{"Forwarded", "X-Forwarded-For"} {
			resp, _ := ask(t, "PURGE", p.url, field, "for=192.0.2.1")
			require.Equal(t, http.StatusForbidden, resp.StatusCode)
		}
		resp, _ := ask(t, "GET", p.url)
		require.Contains(t, resp.Header.Get("Cache-Status"), "hit", "a refused purge purged")
	})
}

func TestBodiesStayAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	file := bytes.Repeat([]byte("0123456789abcdef\n"), 200_000)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "file.bin"), file, 0o600))
	fileServer := http.FileServer(http.Dir(dir))
	for _, size := range []string{"32MiB", "1MiB"} { // the file fits, and is too large
		eachFront(t, func(t *testing.T, front string) {
			origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60")
				fileServer.ServeHTTP(w, r)
			})
			p := start(t, "-front", front, "-origin", origin, "-max-object", size)
			for range 2 {
				resp, body := ask(t, "GET", p.url+"/file.bin")
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.EqualValues(t, len(file), resp.ContentLength)
				require.Equal(t, sha256.Sum256(file), sha256.Sum256([]byte(body)))
				part, body := ask(t, "GET", p.url+"/file.bin", "Range", "bytes=1000000-2999999")
				require.Equal(t, http.StatusPartialContent, part.StatusCode)
				require.Equal(t, sha256.Sum256(file[1000000:3000000]), sha256.Sum256([]byte(body)))
			}
		})
	}
}

func TestOneFetchForManyClients(t *testing.T) {
	const clients = 200
	eachFront(t, func(t *testing.T, front string) {
		var asked atomic.Int32
		var reading sync.WaitGroup
		reading.Add(clients)
		origin := serveOrigin(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("Cache-Control", "max-age=60")
			io.WriteString(w, "the first part, ")
			w.(http.Flusher).Flush()
			reading.Wait() // every client has its first byte while the origin is still sending
			io.WriteString(w, "and the rest")
		})
		p := start(t, "-front", front, "-origin", origin)
		client := &http.Client{Timeout: 3 * patience}
		defer client.CloseIdleConnections()
		bodies := make(chan string, clients)
		for range clients {
			go func() {
				resp, err := client.Get(p.url)
				if err != nil {
					reading.Done()
					bodies <- err.Error()
					return
				}
				defer resp.Body.Close()
				first := make([]byte, 1)
				_, err = io.ReadFull(resp.Body, first)
				reading.Done()
				rest, _ := io.ReadAll(resp.Body)
				bodies <- fmt.Sprint(string(first)+string(rest), err)
			}()
		}
		for range clients {
			require.Equal(t, "the first part, and the rest<nil>", <-bodies)
		}
		require.EqualValues(t, 1, asked.Load())
	})
}

// BenchmarkHit is why the handler is the default front door.
func BenchmarkHit(b *testing.B) {
	for _, front := range []string{frontHandler, frontTransport} {
		b.Run(front, func(b *testing.B) {
			origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "max-age=60000")
				w.Write(make([]byte, 1<<10))
			}))
			defer origin.Close()
			o, err := parseOptions(nil, io.Discard)
			require.NoError(b, err)
			cache, _, err := newCache(o, slog.New(slog.DiscardHandler))
			require.NoError(b, err)
			target, err := url.Parse(origin.URL)
			require.NoError(b, err)
			proxy := newProxy(target, nil, front, cache, http.DefaultTransport)
			r := httptest.NewRequest("GET", "/", nil)
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			b.ReportAllocs()
			for b.Loop() {
				w := &discard{header: make(http.Header)}
				proxy.ServeHTTP(w, r)
				if status := w.header.Get("Cache-Status"); !strings.Contains(status, "; hit") || w.n != 1<<10 {
					b.Fatal("not a hit: ", status)
				}
			}
		})
	}
}

// discard is a ResponseWriter that costs almost nothing.
type discard struct {
	header http.Header
	n      int
}

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) WriteHeader(int)             {}
func (d *discard) Write(p []byte) (int, error) { d.n += len(p); return len(p), nil }
func (d *discard) Flush()                      {}
