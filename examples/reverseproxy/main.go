// Reverseproxy serves a website from a cache in front of it.
//
// Try:
//
//	go run ./examples/reverseproxy
//
// It starts a small website behind the cache and prints what to do next. To put the cache in front
// of another server:
//
//	go run ./examples/reverseproxy -origin http://127.0.0.1:9000 -memory 64MiB -v
//
// To look at it while it works:
//
//	go run ./examples/reverseproxy -demo -console 127.0.0.1:8081
//
// -h lists the flags. The files, in the order in which a request meets them: options.go and size.go
// (flags), cache.go (the parts of the cache), memory.go (limits of the heap), log.go and
// accesslog.go, proxy.go and gateway.go (what is forwarded, and through which front door of the
// cache), origin.go and demo.go (the website, and its visitors), console.go (the live page).
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

// run is the program without its process. It returns the exit status when ctx ends or something
// fails.
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

// shutdownGrace is how long requests and fills under way may continue after the program is told to
// stop.
const shutdownGrace = 10 * time.Second

func serve(ctx context.Context, o *options, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	listener, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	defer listener.Close() // does nothing if Serve has closed it

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
	transport := newTransport()
	defer transport.CloseIdleConnections()

	announcements := stdout
	if o.accessLog != "" {
		announcements = stderr // standard output has the log, and nothing else
	}
	server := newServer(o, newProxy(origin, o.public, o.front, cache, transport), stdout, logger)
	server.ConnState = newHeapLimit(cache).connState
	page, err := startConsole(o, cache, logger)
	if err != nil {
		return errors.Join(err, closeStore())
	}
	defer page.close()

	announce(announcements, listener.Addr(), origin, demo)
	page.announce(announcements)
	var visitors visitors
	if o.demo {
		fmt.Fprintln(announcements, "The demo website has visitors now.")
		visitors.come(siteURL(listener.Addr()))
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	visitors.leave()

	grace, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // cuts responses that stream without end
	}
	_ = cache.Close(grace) // fills that do not end in time are aborted
	return errors.Join(err, closeStore())
}

// newServer returns the server for the clients, with the logs that the flags want around handler.
func newServer(o *options, handler http.Handler, stdout io.Writer, logger *slog.Logger) *http.Server {
	if o.verbose {
		handler = logRequests(handler, logger)
	}
	if o.accessLog != "" {
		handler = logAccess(handler, o.accessLog, stdout)
	}
	server := &http.Server{
		Handler: handler,
		// Slow headers and idle connections cost the server; slow bodies cost only their client.
		// There is no WriteTimeout, because a response may be long, or an endless stream of events.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		Protocols:         new(http.Protocols),
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return server
}

// siteURL returns the URL of what listens there, for clients on this machine.
func siteURL(listening net.Addr) string {
	host, port, _ := net.SplitHostPort(listening.String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// announce prints where the cache listens and, for the demo, what to try.
func announce(w io.Writer, listening net.Addr, origin fmt.Stringer, demo bool) {
	url := siteURL(listening)
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
