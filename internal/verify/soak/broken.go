package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/verify/ledger"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// breakage is a fault of the caches. It is made by wrapping their parts.
type breakage struct {
	breaks   []string // prefixes of the violations that it must cause
	fronts   []string // the front doors where it works; empty: all
	config   func(cfg *middleware.Config, cache int)
	purger   func(p purger, cache int) purger
	upstream func(http.RoundTripper) http.RoundTripper
	front    func(http.Handler) http.Handler
	miscount func(*middleware.Config) func(*stats.Snapshot) // one of ledger.Miscounts
}

// breakages are the faults that -broken names. Each breaks one promise. Some break it only now and
// then, because that is enough for the oracle.
var breakages = map[string]func(*world) *breakage{
	"": func(*world) *breakage { return &breakage{} },

	// overstay serves entries as fresh for one second after their lifetime.
	"overstay": func(*world) *breakage {
		return &breakage{breaks: []string{"too old"}, config: func(cfg *middleware.Config, _ int) {
			cfg.HitFilter = func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
				if late := meta.Staleness(time.Now()); late > 0 && late < time.Second {
					return rules.ForceFresh
				}
				return 0
			}
		}}
	},

	// deaf ignores every tenth purge.
	"deaf": func(*world) *breakage {
		return &breakage{breaks: []string{"from before an invalidation of the URL", "too old after a soft purge"}, purger: func(p purger, _ int) purger { return &deaf{p} }}
	},

	// mixed drops Vary from responses, which mixes the variants of a resource.
	"mixed": func(*world) *breakage {
		return &breakage{breaks: []string{"vary:"}, upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				if resp.Header.Get("Vary") != "*" {
					resp.Header.Del("Vary")
				}
			})
		}}
	},

	// cut drops the last byte of one answer in a hundred, and declares the shorter length.
	"cut": func(*world) *breakage {
		return &breakage{breaks: []string{"body:", "Content-Length", "broke off", "Content-Range"}, front: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if rand.IntN(100) == 0 {
					w = &cutter{ResponseWriter: w, left: -1}
				}
				next.ServeHTTP(w, r)
			})
		}}
	},

	// swallow treats a truncated body as complete.
	"swallow": func(*world) *breakage {
		return &breakage{breaks: []string{"body:"}, upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				resp.ContentLength = -1
				resp.Header.Del("Content-Length")
				resp.Body = &swallower{resp.Body}
			})
		}}
	},

	// gossip stores responses that are private.
	"gossip": func(*world) *breakage {
		return &breakage{breaks: []string{"reserved for"}, upstream: func(next http.RoundTripper) http.RoundTripper {
			return altered(next, func(resp *http.Response) {
				line := resp.Header.Get("Cache-Control")
				resp.Header.Set("Cache-Control", strings.Replace(line, "private", "public", 1))
			})
		}}
	},

	// gather treats a response as fresh for a moment after its receipt, even if the origin demands
	// validation.
	"gather": func(*world) *breakage {
		return &breakage{breaks: []string{"whose:"}, config: func(cfg *middleware.Config, _ int) {
			cfg.HitFilter = func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
				if time.Since(meta.Updated()) < 100*time.Millisecond {
					return rules.ForceFresh
				}
				return 0
			}
		}}
	},

	// headlong lets a HEAD response freshen any stored response: it gives all responses without
	// validators the same entity tag.
	"headlong": func(*world) *breakage {
		return &breakage{
			breaks: []string{"head:"},
			upstream: func(next http.RoundTripper) http.RoundTripper {
				return altered(next, func(resp *http.Response) {
					if resp.StatusCode == http.StatusOK && resp.Header.Get("Etag") == "" && resp.Header.Get("Last-Modified") == "" {
						resp.Header.Set("Etag", `"same"`)
						resp.ContentLength = -1
						resp.Header.Del("Content-Length")
					}
				})
			},
			front: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(&headerEditor{w, func(h http.Header) {
						if h.Get("Etag") == `"same"` {
							h.Del("Etag")
						}
					}}, r)
				})
			},
		}
	},

	// jar stores Set-Cookie and sends it again with hits.
	"jar": func(*world) *breakage {
		const kept = "X-Kept-Cookie"
		return &breakage{
			breaks: []string{"cookie:"},
			upstream: func(next http.RoundTripper) http.RoundTripper {
				return altered(next, func(resp *http.Response) {
					if lines := resp.Header["Set-Cookie"]; lines != nil {
						resp.Header[kept] = lines
					}
				})
			},
			front: func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					next.ServeHTTP(&headerEditor{w, func(h http.Header) {
						if lines := h[kept]; lines != nil {
							h["Set-Cookie"] = lines
						}
					}}, r)
				})
			},
		}
	},

	// overwrite serves the response whose body ended last.
	"overwrite": func(*world) *breakage {
		kept := &lastEnded{kept: make(map[string]*httptest.ResponseRecorder)}
		return &breakage{breaks: []string{"order:"}, front: kept.front}
	},

	// forgetful remembers PurgeAll and PurgeGroup in one cache only, and forgets them at a restart.
	"forgetful": func(*world) *breakage {
		var mu sync.Mutex
		purged := make(map[int]time.Time)
		return &breakage{
			breaks: []string{"from before a purge of everything", "from before an invalidation of its group"},
			config: func(cfg *middleware.Config, cache int) {
				mu.Lock()
				defer mu.Unlock()
				delete(purged, cache)
				cfg.HitFilter = func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
					mu.Lock()
					defer mu.Unlock()
					if !meta.Updated().After(purged[cache]) {
						return rules.ForceMiss
					}
					return 0
				}
			},
			purger: func(p purger, cache int) purger {
				return &forgetful{p, func() {
					mu.Lock()
					defer mu.Unlock()
					purged[cache] = time.Now()
				}}
			},
		}
	},

	// headless does not count HEAD requests.
	"headless": func(*world) *breakage {
		return &breakage{breaks: []string{"count:"}, miscount: ledger.Miscounts["forgets HEAD"]}
	},

	// again counts a request to the origin twice if its answer could not be used.
	"again": func(*world) *breakage {
		return &breakage{breaks: []string{"count:"}, miscount: ledger.Miscounts["counts a retry twice"]}
	},

	// pieces does not count the bytes of ranges.
	"pieces": func(*world) *breakage {
		return &breakage{breaks: []string{"count:"}, miscount: ledger.Miscounts["forgets bytes of ranges"]}
	},

	// unframed reports to the origin that validating requests lack the values of outer middleware.
	"unframed": func(*world) *breakage {
		return &breakage{breaks: []string{"surroundings:"}, fronts: []string{frontHandler}, upstream: func(next http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				if r.Header.Get("If-None-Match") != "" {
					r = r.Clone(r.Context())
					r.Header.Set(itemField, "nothing")
				}
				return next.RoundTrip(r)
			})
		}}
	},
}

type forgetful struct {
	purger
	note func()
}

// PurgeAll implements purger.
func (f *forgetful) PurgeAll(context.Context) error {
	f.note()
	return nil
}

// PurgeGroup implements purger. It purges everything, which breaks no rule.
func (f *forgetful) PurgeGroup(context.Context, *http.Request, string) error {
	f.note()
	return nil
}

// headerEditor calls edit with the header before it is sent.
type headerEditor struct {
	http.ResponseWriter
	edit func(http.Header)
}

// WriteHeader implements http.ResponseWriter.
func (e *headerEditor) WriteHeader(status int) {
	e.edit(e.Header())
	e.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher.
func (e *headerEditor) Flush() { _ = http.NewResponseController(e.ResponseWriter).Flush() }

// lastEnded keeps, for each URL, the response whose body ended last. It replaces hits with it.
type lastEnded struct {
	mu   sync.Mutex
	kept map[string]*httptest.ResponseRecorder
}

func (l *lastEnded) front(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header["Range"] != nil || r.Header["If-None-Match"] != nil || r.Header["If-Modified-Since"] != nil {
			next.ServeHTTP(w, r)
			return
		}
		name := fmt.Sprint(r.URL.Path, r.Header[deviceField], r.Header[languageField])
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, r)
		status := recorder.Header().Get("Cache-Status")
		l.mu.Lock()
		if last := l.kept[name]; last != nil && strings.Contains(status, "; hit") {
			recorder = last
		} else if recorder.Code == http.StatusOK && strings.Contains(status, "; stored") {
			kept := httptest.NewRecorder()
			kept.Code, kept.Body = recorder.Code, recorder.Body
			maps.Copy(kept.Header(), recorder.Header())
			kept.Header().Set("Cache-Status", "Cirque; hit")
			kept.Header().Set("Age", "0")
			l.kept[name] = kept
		}
		l.mu.Unlock()
		maps.Copy(w.Header(), recorder.Header())
		w.WriteHeader(recorder.Code)
		_, _ = w.Write(recorder.Body.Bytes())
	})
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
	left int64 // bytes still to be passed on; negative: all
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
