package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/cirquecache/cirque/console"
	"github.com/cirquecache/cirque/middleware"
)

// consoleServer serves the live page about the cache, on an address of its own. Nil does nothing.
type consoleServer struct {
	page     *console.Console
	server   *http.Server
	listener net.Listener
}

// startConsole serves the page if the flags want one.
func startConsole(o *options, cache *middleware.Cache, logger *slog.Logger) (*consoleServer, error) {
	if o.console == "" {
		return nil, nil
	}
	cfg := console.Config{Caches: []*middleware.Cache{cache}, Token: o.consoleToken}
	if o.consoleToken == "" {
		cfg.Authorize = console.Loopback
	}
	page, err := console.New(cfg)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.console)
	if err != nil {
		page.Close()
		return nil, err
	}
	s := &consoleServer{page: page, listener: listener, server: &http.Server{
		Handler:           page,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}}
	go s.server.Serve(listener)
	return s, nil
}

// announce prints where the page is.
func (s *consoleServer) announce(w io.Writer) {
	if s != nil {
		fmt.Fprintf(w, "console at %s/\n", siteURL(s.listener.Addr()))
	}
}

func (s *consoleServer) close() {
	if s != nil {
		s.page.Close()
		_ = s.server.Close()
	}
}
