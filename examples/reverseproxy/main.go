// Reverseproxy serves a website from a cache in front of it.
//
// Try:
//
//	go run ./examples/reverseproxy
//
// which starts a small website of its own behind the cache and prints what to do next, or put it in
// front of another server:
//
//	go run ./examples/reverseproxy -origin http://127.0.0.1:9000 -memory 64MiB -v
//
// -h lists the flags. The parts are in the order of a request's way: options.go (flags), cache.go (what
// the cache is made of), memory.go (the heap), log.go, proxy.go (what is forwarded, and by which of
// the cache's front doors), origin.go (the website).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it: it returns the exit status, when ctx ends
// or something fails.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "reverseproxy: %v\nRun it with -h to see its flags.\n", err)
		return 2
	}
	if err := serve(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "reverseproxy:", err)
		return 1
	}
	return 0
}

// shutdownGrace is how long requests and fills under way may take to end when the program is told
// to stop.
const shutdownGrace = 10 * time.Second

func serve(ctx context.Context, o *options, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close() // nothing, after Serve

	origin, demo := o.origin, o.origin == nil
	if demo {
		site, err := startDemoOrigin()
		if err != nil {
			return err
		}
		defer site.close()
		origin = site.url
	}

	cache, closeStore, err := newCache(o, logger)
	if err != nil {
		return err
	}
	limit := newHeapLimit(cache)
	transport := newTransport()
	defer transport.CloseIdleConnections()

	handler := newProxy(origin, o.public, o.front, cache, transport)
	if o.verbose {
		handler = logRequests(handler, logger)
	}
	server := &http.Server{
		Handler: handler,
		// Slow headers and idle connections cost the server, slow bodies only their client. There
		// is no WriteTimeout: a response may be long, or an endless stream of events.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ConnState:         limit.connState,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)

	announce(stdout, listener.Addr(), origin, demo)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}

	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // what streams without end is cut
	}
	_ = cache.Close(grace) // fills that do not end in time are aborted
	return errors.Join(err, closeStore())
}

// announce says where the cache is, and for the demo what to do with it.
func announce(w io.Writer, listening net.Addr, origin fmt.Stringer, demo bool) {
	host, port, _ := net.SplitHostPort(listening.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, port)
	fmt.Fprintf(w, "serving %s from the cache at %s\n", origin, url)
	if !demo {
		return
	}
	fmt.Fprintf(w, `
Three things to try:

  curl -i %[1]s/
      twice: the second answer has an Age and says "hit" in Cache-Status, and the origin was asked once

  curl -i -X PURGE %[1]s/
      removes it: the next answer is a miss, and the origin is asked again

  curl -sN %[1]s/slow & curl -sN %[1]s/slow; wait
      two clients read one slow answer while it is still coming: both show the same number

`, url)
}
