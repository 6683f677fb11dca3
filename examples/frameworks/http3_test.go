package frameworks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
)

// serveHTTP3 starts an HTTP/3 server of h.
func serveHTTP3(t *testing.T, h http.Handler) *site {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // for its certificate
	certified.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certified.Certificate())
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http3.Server{
		Handler: h, TLSConfig: http3.ConfigureTLSConfig(&tls.Config{Certificates: certified.TLS.Certificates}),
	}
	served := make(chan error)
	go func() { served <- server.Serve(conn) }()
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}, QUICConfig: &quic.Config{}}
	t.Cleanup(func() {
		require.NoError(t, transport.Close())
		require.NoError(t, server.Close())
		<-served
		conn.Close()
	})
	return &site{t, "https://" + conn.LocalAddr().String(), &http.Client{Transport: transport, Timeout: 20 * time.Second}}
}

func fresh(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Cache-Control", "public, max-age=60")
	fmt.Fprintf(w, "%s %s %q", r.Method, r.URL.Path, body)
}

func TestHTTP3(t *testing.T) {
	var asked atomic.Int32
	cache := newCache(t, middleware.Config{})
	s := serveHTTP3(t, cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		fresh(w, r)
	})))
	first := s.get("/a")
	require.Equal(t, `GET /a ""`, first.body)
	require.Contains(t, first.cache, "; stored")
	second := s.get("/a")
	require.Equal(t, first.body, second.body)
	require.Contains(t, second.cache, "; hit")
	require.Contains(t, s.as("alice", http.MethodHead, "/a").cache, "; hit")
	require.EqualValues(t, 1, asked.Load())

	require.Contains(t, s.as("alice", http.MethodPost, "/a").cache, "fwd=method")
	require.Contains(t, s.get("/a").cache, "fwd=uri-miss", "POST invalidates")
}

// A GET with content does not use the cache, and its whole content reaches the handler.
func TestHTTP3GetWithContent(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	s := serveHTTP3(t, cache.Handler(http.HandlerFunc(fresh)))
	for _, body := range []io.Reader{strings.NewReader("content"), &slowly{text: "content"}} {
		r, err := http.NewRequest(http.MethodGet, s.url+"/a", body)
		require.NoError(t, err)
		response, err := s.client.Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		response.Body.Close()
		require.Equal(t, `GET /a "content"`, string(got))
		require.Contains(t, response.Header.Get("Cache-Status"), "fwd=bypass; detail=request-content")
	}
	require.Contains(t, s.get("/a").cache, "fwd=uri-miss", "a response to a GET with content was stored")
}

// slowly is content that comes byte by byte, with pauses.
type slowly struct{ text string }

func (s *slowly) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	time.Sleep(30 * time.Millisecond)
	n := copy(p[:1], s.text)
	s.text = s.text[n:]
	return n, nil
}

// While a client keeps its side of a GET's stream open, it may still send content. After a while
// its request bypasses the cache.
func TestHTTP3RequestThatIsNotEnded(t *testing.T) {
	cache := newCache(t, middleware.Config{})
	s := serveHTTP3(t, cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprint(w, "answered before the end")
	})))
	open, end := io.Pipe()
	defer end.Close()
	r, err := http.NewRequest(http.MethodGet, s.url+"/a", open)
	require.NoError(t, err)
	response, err := s.client.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, "answered before the end", string(body))
	require.Contains(t, response.Header.Get("Cache-Status"), "detail=request-content")
}

// HTTP/3 has its own server, which the cache does not know. Refresh names the handler to which a
// background revalidation is sent.
func TestHTTP3StaleWhileRevalidate(t *testing.T) {
	for _, given := range []bool{true, false} {
		var h http.Handler
		cfg := middleware.Config{}
		cfg.Refresh = func(r *http.Request) http.Handler {
			if !given || r.Context().Value(http3.ServerContextKey).(*http3.Server) == nil {
				return nil
			}
			return h
		}
		cache, mux, i := newCache(t, cfg), http.NewServeMux(), new(items)
		mux.Handle("GET /item/{id}", cache.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			i.write(w, r, r.PathValue("id"))
		})))
		var log *accessLog
		h, log = around(mux)
		s := serveHTTP3(t, h)
		if given {
			checkRefreshes(t, cache, s, "/item/", "7", "42")
			require.EqualValues(t, 2, log.refreshes.Load())
			continue
		}
		s.get("/item/7")
		require.Contains(t, s.get("/item/7").body, "v2", "the client waits")
		require.Zero(t, log.refreshes.Load())
	}
}

// An answer that breaks off on its way from the origin is not stored, and no client takes it for a
// complete one.
func TestHTTP3ProxyOfATruncatedAnswer(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	origin := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		io.WriteString(w, "half ")
		w.(http.Flusher).Flush()
		if broken.Load() {
			time.Sleep(20 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "and half")
	}))
	target, err := url.Parse(origin.url)
	require.NoError(t, err)
	for _, door := range []string{"handler", "transport"} {
		t.Run(door, func(t *testing.T) {
			broken.Store(true)
			proxy := httputil.NewSingleHostReverseProxy(target)
			proxy.ErrorLog = quiet
			cache := newCache(t, middleware.Config{})
			var h http.Handler = proxy
			if door == "handler" {
				h = cache.Handler(proxy)
			} else {
				proxy.Transport = cache.Transport(nil)
			}
			s := serveHTTP3(t, h)
			if door == "handler" {
				response, err := s.client.Get(s.url)
				if err == nil {
					_, err = io.ReadAll(response.Body)
					response.Body.Close()
				}
				require.Error(t, err)
			} else {
				s.client.Get(s.url) // the proxy and its server decide what the client gets
			}
			require.NoError(t, cache.Wait(context.Background()))
			broken.Store(false)
			require.Equal(t, "half and half", s.get("/").body)
			again := s.get("/")
			require.Equal(t, "half and half", again.body)
			require.Contains(t, again.cache, "; hit")
		})
	}
}
