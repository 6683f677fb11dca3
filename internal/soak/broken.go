package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
)

// breakage is a fault in the cache: what is wrapped around its parts.
type breakage struct {
	config   func(*middleware.Config)
	purger   func(purger) purger
	upstream func(http.RoundTripper) http.RoundTripper
	front    func(http.Handler) http.Handler
}

// breakages are the faults that -broken names. Each breaks one promise, and only now and then where that is enough.
var breakages = map[string]func(*world) *breakage{
	"": func(*world) *breakage { return &breakage{} },

	// overstay serves one second too long.
	"overstay": func(*world) *breakage {
		return &breakage{config: func(cfg *middleware.Config) {
			cfg.HitFilter = func(_ *http.Request, meta *cirque.CacheMeta) cirque.ForcedFreshness {
				if late := meta.Staleness(time.Now()); late > 0 && late < time.Second {
					return cirque.ForceFresh
				}
				return 0
			}
		}}
	},

	// deaf ignores every tenth purge.
	"deaf": func(*world) *breakage {
		return &breakage{purger: func(p purger) purger { return &deaf{p} }}
	},

	// mixed mixes the variants of a resource up.
	"mixed": func(*world) *breakage {
		return &breakage{upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				if resp.Header.Get("Vary") != "*" {
					resp.Header.Del("Vary")
				}
			})
		}}
	},

	// cut leaves the last byte off one answer in a hundred, and says so in Content-Length.
	"cut": func(*world) *breakage {
		return &breakage{front: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rand.IntN(100) == 0 {
					w = &cutter{ResponseWriter: w, left: -1}
				}
				next.ServeHTTP(w, r)
			})
		}}
	},

	// swallow takes a body that broke off for a whole one.
	"swallow": func(*world) *breakage {
		return &breakage{upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				resp.ContentLength = -1
				resp.Header.Del("Content-Length")
				resp.Body = &swallower{resp.Body}
			})
		}}
	},

	// gossip stores what is for one user alone.
	"gossip": func(*world) *breakage {
		return &breakage{upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				line := resp.Header.Get("Cache-Control")
				resp.Header.Set("Cache-Control", strings.Replace(line, "private", "public", 1))
			})
		}}
	},
}

type deaf struct{ purger }

// Purge implements purger.
func (d *deaf) Purge(ctx context.Context, r *http.Request) error {
	if rand.IntN(10) == 0 {
		return nil
	}
	return d.purger.Purge(ctx, r)
}

// altered lets alter change the responses of next.
func altered(next http.RoundTripper, alter func(*http.Response)) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err == nil {
			alter(resp)
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// cutter drops the last byte of a body whose length is declared.
type cutter struct {
	http.ResponseWriter
	left int64 // bytes to let through; negative: all
}

// WriteHeader implements http.ResponseWriter.
func (c *cutter) WriteHeader(status int) {
	if n, err := strconv.ParseInt(c.Header().Get("Content-Length"), 10, 64); err == nil && n > 1 && status == http.StatusOK {
		c.left = n - 1
		c.Header().Set("Content-Length", strconv.FormatInt(c.left, 10))
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (c *cutter) Write(p []byte) (int, error) {
	if c.left < 0 {
		return c.ResponseWriter.Write(p)
	}
	let := p[:min(int64(len(p)), c.left)]
	n, err := c.ResponseWriter.Write(let)
	c.left -= int64(n)
	if err != nil {
		return n, err
	}
	return len(p), nil
}

type swallower struct{ io.ReadCloser }

// Read implements io.Reader.
func (s *swallower) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	if err != nil {
		err = io.EOF
	}
	return n, err
}
