// Client is an API client with a cache in its transport.
//
// Try:
//
//	go run ./examples/client
//
// It serves a small API on a loopback address and asks it the same question several times. It
// prints where each answer came from: the API, the cache, or the cache after the API confirmed the
// answer. At the end the API stops, and the cache still answers.
package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/cirquecache/cirque/middleware"
)

func main() {
	if err := run(os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(out io.Writer) error {
	api, err := startAPI()
	if err != nil {
		return err
	}
	defer api.close()

	// The cache of a client for one user is a private cache (RFC 9111 §1). For a client that sends
	// the credentials of several users, leave SingleUser out: then the cache keeps the users apart.
	cache, err := middleware.New(middleware.Config{MaxBytes: 16 << 20, Private: true, SingleUser: true})
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := &client{api.url, &http.Client{Transport: cache.Transport(transport), Timeout: 10 * time.Second}}

	for _, step := range []struct {
		what   string
		before func()
		fields []string
	}{
		{what: "the first time"},
		{what: "again"},
		{what: "asking for no older answer", fields: []string{"Cache-Control", "no-cache"}},
		{what: "with the API down", before: api.close},
	} {
		if step.before != nil {
			step.before()
		}
		temperature, from, err := c.temperature("Lander", step.fields...)
		if err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
		fmt.Fprintf(out, "%-28s %s  %s\n", step.what+":", temperature, from)
	}
	return nil
}

// client asks the API. It does not know about the cache; it only prints what the cache reports.
type client struct {
	url  string
	http *http.Client
}

func (c *client) temperature(place string, fields ...string) (value, from string, err error) {
	req, err := http.NewRequest(http.MethodGet, c.url+"/temperature/"+place, nil)
	if err != nil {
		return "", "", err
	}
	for i := 0; i < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return "", "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", "", fmt.Errorf("the API answered %s", resp.Status)
	}
	return string(body), resp.Header.Get("Cache-Status"), nil
}

// api is a service on a loopback address.
type api struct {
	url    string
	server *http.Server
}

func startAPI() (*api, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(serveTemperature)}
	go server.Serve(listener)
	return &api{"http://" + listener.Addr().String(), server}, nil
}

func (a *api) close() { _ = a.server.Close() }

// serveTemperature sends an answer that may be stored for a minute, and that can be validated by
// its ETag after that.
func serveTemperature(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, max-age=60")
	w.Header().Set("Etag", `"21"`)
	if r.Header.Get("If-None-Match") == `"21"` {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	fmt.Fprint(w, "21 °C")
}
