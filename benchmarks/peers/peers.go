package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gregjones/httpcache"

	"github.com/cirquecache/cirque/middleware"
)

// peer is a kind of cache.
type peer struct {
	name  string
	start func(origin string) (*cache, error)
}

// cache is a running cache.
type cache struct {
	url  string
	stop func()
}

// ready waits until the cache forwards requests.
func (c *cache) ready() error {
	var err error
	for range 100 {
		if _, body, rerr := (&question{url: c.url, path: "/ready"}).do(http.MethodGet); body == "ready" {
			return nil
		} else if rerr != nil {
			err = rerr
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("not ready after ten seconds: %w", err)
}

// peers returns the caches that are available here.
func peers() []peer {
	all := []peer{{"Cirque", startCirque}, {"gregjones/httpcache", startHTTPCache}}
	if _, err := exec.LookPath("nginx"); err == nil {
		all = append(all, peer{"nginx", startNginx})
	}
	if _, err := exec.LookPath("varnishd"); err == nil {
		all = append(all, peer{"Varnish", startVarnish})
	}
	return all
}

// serveProxy serves the handler that wrap makes of a reverse proxy.
func serveProxy(origin string, wrap func(*httputil.ReverseProxy) http.Handler, stopped func()) (*cache, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	target := &url.URL{Scheme: "http", Host: origin}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: wrap(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	})}
	go server.Serve(listener)
	return &cache{"http://" + listener.Addr().String(), func() {
		_ = server.Close()
		stopped()
		transport.CloseIdleConnections()
	}}, nil
}

// startCirque starts Cirque with its defaults, in front of the proxy.
func startCirque(origin string) (*cache, error) {
	c, err := middleware.New(middleware.Config{})
	if err != nil {
		return nil, err
	}
	return serveProxy(origin,
		func(p *httputil.ReverseProxy) http.Handler { return c.Handler(p) },
		func() { _ = c.Close(context.Background()) })
}

// startHTTPCache starts httpcache with its map in memory, as the proxy's transport.
func startHTTPCache(origin string) (*cache, error) {
	return serveProxy(origin, func(p *httputil.ReverseProxy) http.Handler {
		p.Transport = &httpcache.Transport{Transport: p.Transport, Cache: httpcache.NewMemoryCache(), MarkCachedResponses: true}
		return p
	}, func() {})
}

// nginxConfig turns on what nginx has for these checks; most of it is off by default.
const nginxConfig = `
daemon off;
worker_processes 2;
pid DIR/pid;
error_log DIR/errors crit;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
	proxy_cache_path DIR/cache keys_zone=cache:8m;
	server {
		listen LISTEN;
		location / {
			proxy_pass http://ORIGIN;
			proxy_http_version 1.1;
			proxy_set_header Connection "";
			proxy_cache cache;
			proxy_cache_lock on;
			proxy_cache_revalidate on;
			proxy_cache_background_update on;
			proxy_cache_use_stale updating error timeout http_500 http_502 http_503 http_504;
		}
	}
}
`

func startNginx(origin string) (*cache, error) {
	return startProcess(func(dir, listen string) (*exec.Cmd, error) {
		config := strings.NewReplacer("DIR", dir, "LISTEN", listen, "ORIGIN", origin).Replace(nginxConfig)
		if os.Getuid() == 0 {
			config = "user root;" + config
		}
		file := filepath.Join(dir, "nginx.conf")
		return exec.Command("nginx", "-p", dir, "-c", file), os.WriteFile(file, []byte(config), 0o600)
	})
}

// startVarnish starts Varnish with its built-in configuration, and a cache in memory.
func startVarnish(origin string) (*cache, error) {
	return startProcess(func(dir, listen string) (*exec.Cmd, error) {
		return exec.Command("varnishd", "-F", "-j", "none", "-n", dir, "-a", listen, "-b", origin, "-s", "malloc,64m"), nil
	})
}

// startProcess runs a server on a free port and with its own directory.
func startProcess(command func(dir, listen string) (*exec.Cmd, error)) (*cache, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	listen := listener.Addr().String()
	_ = listener.Close()
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return nil, err
	}
	cmd, err := command(dir, listen)
	if err == nil {
		cmd.Stdout, cmd.Stderr = io.Discard, io.Discard
		err = cmd.Start()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return &cache{"http://" + listen, func() {
		_ = cmd.Process.Signal(os.Interrupt)
		killer := time.AfterFunc(5*time.Second, func() { _ = cmd.Process.Kill() })
		_ = cmd.Wait()
		killer.Stop()
		_ = os.RemoveAll(dir)
	}}, nil
}
