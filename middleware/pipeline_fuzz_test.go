package middleware_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// Two requests of any bytes never get each other's response, an unsafe request reaches the origin,
// and nothing panics.
//
// Invariant: two requests that an origin can tell apart share no key, except by fields that Vary
// does not name.
func FuzzRequestPipeline(f *testing.F) {
	for _, request := range []string{
		"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: A.test:80\r\n\r\n",
		"GET http://a.test/ HTTP/1.1\r\nHost: b.test\r\n\r\n",
		"GET //a.test/ HTTP/1.1\r\nHost: a.test\r\nX-V: 1\r\n\r\n",
		"GET /?a=1;b=2 HTTP/1.1\r\nHost: a.test\r\nX-V: 1, 2\r\n\r\n",
		"GET /%2f..%00 HTTP/1.1\r\nHost: a.test\r\nX-V: 1\r\nX-V: 2\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-V\r\nX-V: 1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nRange: bytes=1-2, 4-\r\nIf-Range: \"x\"\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nIf-None-Match: *\r\nCache-Control: no-cache\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nCache-Control: only-if-cached, max-age=0, min-fresh=9999\r\n\r\n",
		"HEAD / HTTP/1.1\r\nHost: a.test\r\nAuthorization: Basic x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 3\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"PURGE / HTTP/1.1\r\nHost: a.test\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
		"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n",
	} {
		f.Add(request, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		f.Add(request, request)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		for _, door := range []string{"handler", "transport"} {
			p := newPipeline(t, door)
			for _, text := range []string{first, second, first} {
				p.send(text)
			}
			require.NoError(t, p.cache.Close(context.Background()))
		}
	})
}

// pipeline is a cache in front of an origin whose body says what was requested.
type pipeline struct {
	t     *testing.T
	cache *middleware.Cache
	door  string
	front http.Handler
	asked int
}

func newPipeline(t *testing.T, door string) *pipeline {
	cache := newCache(t, middleware.Config{})
	p := &pipeline{t: t, cache: cache, door: door}
	origin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked++
		body := told(r)
		w.Header().Set("Cache-Control", "max-age=60")
		w.Header().Set("Vary", "X-V")
		w.Header().Set("Etag", fmt.Sprintf(`"%x"`, sha256.Sum256([]byte(body))))
		io.WriteString(w, body)
	})
	if door == "handler" {
		p.front = cache.Handler(origin)
		return p
	}
	transport := cache.Transport(roundTripFunc(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		origin.ServeHTTP(w, r)
		response := w.Result()
		response.Request = r
		return response, nil
	}))
	p.front = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := transport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		for name, values := range response.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(response.StatusCode)
		io.Copy(w, response.Body)
	})
	return p
}

// told returns everything in r that the origin may answer differently to.
func told(r *http.Request) string {
	lines := strings.Join(r.Header["X-V"], ",")
	// RFC 9111 §4.1: whitespace and the division into lines do not matter.
	v := strings.NewReplacer(" ", "", "\t", "").Replace(lines)
	host, server := rules.NormalHost("http", r.Host), rules.NormalHost("http", r.URL.Host)
	if server == "" {
		server = host
	}
	target := strings.TrimPrefix(r.URL.RequestURI(), "http://"+r.URL.Host)
	return fmt.Sprintf("%s of %s at %s, X-V %q\n", target, host, server, v)
}

// send sends text, if it is a request, and checks the answer.
func (p *pipeline) send(text string) {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		return
	}
	if p.door == "transport" {
		r.RequestURI = ""
		if r.URL.Host == "" {
			r.URL.Scheme, r.URL.Host = "http", r.Host
		}
	}
	plain := r.Clone(context.Background())
	rules.RemoveConnectionFields(plain.Header)
	want, before := told(plain), p.asked
	w := httptest.NewRecorder()
	func() {
		defer func() {
			if gone := recover(); gone != nil && gone != http.ErrAbortHandler {
				panic(gone)
			}
		}()
		p.front.ServeHTTP(w, r)
	}()
	switch method := r.Method; {
	case method == "PURGE" && p.door == "handler":
		require.Equal(p.t, http.StatusForbidden, w.Code)
	case method != "GET" && method != "HEAD":
		if w.Code != http.StatusBadGateway {
			require.Equal(p.t, before+1, p.asked, "%s must reach the origin", method)
		}
	case method == "GET" && w.Code == http.StatusOK:
		require.Equal(p.t, want, w.Body.String())
	case method == "GET" && w.Code == http.StatusPartialContent && w.Header().Get("Content-Range") != "":
		var from, to, length int
		_, err := fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-%d/%d", &from, &to, &length)
		require.NoError(p.t, err)
		require.Equal(p.t, len(want), length)
		require.Equal(p.t, want[from:to+1], w.Body.String())
	}
}
