package history

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/middleware"
	"github.com/cirquecache/cirque/rules"
)

// breakage is a fault of the caches. It is made by wrapping their parts.
type breakage struct {
	rules  []string // the oracle must find each of them broken
	config func(cfg *middleware.Config, cache int)
	origin func(http.Handler) http.Handler
	front  func(http.RoundTripper) http.RoundTripper
	purge  func(s *step, res *resource) (done bool) // comes before a purge, and replaces it if done is true
}

// breakages are the faults by name. Each breaks the rules that it lists.
var breakages = map[string]func(*world) *breakage{
	"": func(*world) *breakage { return &breakage{} },

	// gather treats a response as fresh for one second after its receipt, even if the origin
	// demands validation.
	"gather": func(w *world) *breakage {
		return &breakage{rules: []string{ruleWhose, ruleUnvalidated}, config: hitFilter(func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
			if time.Since(meta.Updated()) < time.Second {
				return rules.ForceFresh
			}
			return 0
		})}
	},

	// mixed drops Vary from responses.
	"mixed": func(*world) *breakage {
		return &breakage{rules: []string{ruleVary}, origin: edited(func(h http.Header) { h.Del("Vary") })}
	},

	// gossip stores responses that are private or no-store.
	"gossip": func(*world) *breakage {
		return &breakage{rules: []string{ruleReserved}, origin: edited(func(h http.Header) {
			h.Set("Cache-Control", strings.NewReplacer("private", "public", "no-store", "public").Replace(h.Get("Cache-Control")))
		})}
	},

	// keys stores responses to Authorization as if they were public.
	"keys": func(*world) *breakage {
		return &breakage{rules: []string{ruleAuth}, origin: edited(func(h http.Header) {
			if h.Get("Cache-Control") == "max-age=600" {
				h.Set("Cache-Control", "public, max-age=600")
			}
		})}
	},

	// jar stores Set-Cookie and sends it again with hits.
	"jar": func(*world) *breakage {
		return &breakage{
			rules: []string{ruleCookie},
			origin: edited(func(h http.Header) {
				if line := h.Get("Set-Cookie"); line != "" {
					h.Set("X-Kept-Cookie", line)
				}
			}),
			front: answered(func(_ *http.Request, resp *http.Response) {
				if line := resp.Header.Get("X-Kept-Cookie"); line != "" {
					resp.Header.Set("Set-Cookie", line)
				}
			}),
		}
	},

	// overstay serves entries as fresh for two seconds after their lifetime.
	"overstay": func(*world) *breakage {
		return &breakage{rules: []string{ruleLifetime}, config: hitFilter(func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
			if late := meta.Staleness(time.Now()); late > 0 && late < 2*time.Second {
				return rules.ForceFresh
			}
			return 0
		})}
	},

	// wilful ignores the client's Cache-Control.
	"wilful": func(*world) *breakage {
		return &breakage{rules: []string{ruleReload}, front: asked(func(r *http.Request) { r.Header.Del("Cache-Control") })}
	},

	// headlong lets a HEAD response freshen any stored response: it gives all of them the same
	// validator.
	"headlong": func(*world) *breakage {
		return &breakage{rules: []string{ruleHead}, origin: edited(func(h http.Header) {
			if h.Get("Etag") == "" && h.Get("Last-Modified") == "" {
				h.Set("Etag", `"same"`)
			}
		})}
	},

	// blinkered sends HEAD to the origin directly, so the cache learns nothing from the response.
	"blinkered": func(w *world) *breakage {
		return &breakage{rules: []string{ruleHeadNewer}, front: func(next http.RoundTripper) http.RoundTripper {
			return passing(w, next, http.MethodHead)
		}}
	},

	// heedless sends unsafe requests to the origin directly, so they invalidate nothing.
	"heedless": func(w *world) *breakage {
		return &breakage{rules: []string{purgeUnsafe, purgeUpgrade, purgeField}, front: func(next http.RoundTripper) http.RoundTripper {
			return passing(w, next, http.MethodPost, http.MethodPut, http.MethodDelete)
		}}
	},

	// overwrite serves the response whose body ended last.
	"overwrite": func(*world) *breakage {
		return &breakage{rules: []string{ruleOrder, ruleOrderOther}, front: newLastEnded().front}
	},

	// deaf ignores every other purge of a URL.
	"deaf": func(*world) *breakage {
		return &breakage{rules: []string{purgeURL, purgeSoft, purgeRequest}, purge: func(s *step, _ *resource) bool {
			return s.number%2 == 0 && s.purge != purgeAll && s.purge != purgeGroup
		}}
	},

	// forgetful remembers PurgeAll and PurgeGroup in one cache only, and forgets them at a restart.
	"forgetful": func(w *world) *breakage {
		log := &purgeLog{world: w, own: true}
		return &breakage{rules: []string{
			purgeAll + "/other", purgeAll + "/restart", purgeGroup + "/other", purgeGroup + "/restart",
		}, config: log.config, purge: log.purge}
	},

	// clocked compares Date with the time of a purge to find the entries that are older than the
	// purge.
	"clocked": func(w *world) *breakage {
		log := &purgeLog{world: w, dates: true}
		return &breakage{rules: []string{purgeAll + "/ahead", purgeGroup + "/ahead"}, config: log.config, purge: log.purge}
	},

	// unframed removes the values from the request's context when it validates an entry.
	"unframed": func(*world) *breakage {
		return &breakage{rules: []string{ruleSurroundings}, origin: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") != "" {
					r = r.WithContext(without{r.Context(), surroundingsKey{}})
				}
				next.ServeHTTP(w, r)
			})
		}}
	},

	// swallow treats a truncated body as complete.
	"swallow": func(*world) *breakage {
		return &breakage{rules: []string{ruleWhole}, origin: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() {
					if p := recover(); p != nil && p != http.ErrAbortHandler {
						panic(p)
					}
				}()
				edited(func(h http.Header) { h.Del("Content-Length") })(next).ServeHTTP(w, r)
			})
		}}
	},

	// liar reports every answer as a hit in Cache-Status.
	"liar": func(*world) *breakage {
		return &breakage{rules: []string{ruleStatus}, front: answered(func(_ *http.Request, resp *http.Response) {
			resp.Header.Set("Cache-Status", "Cirque; hit; ttl=0")
			if resp.Header.Get("Age") == "" {
				resp.Header.Set("Age", "0")
			}
		})}
	},

	// young always sends Age: 0.
	"young": func(*world) *breakage {
		return &breakage{rules: []string{ruleAge}, front: answered(func(_ *http.Request, resp *http.Response) { resp.Header.Set("Age", "0") })}
	},
}

type filter = func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness

func hitFilter(f filter) func(*middleware.Config, int) {
	return func(cfg *middleware.Config, _ int) { cfg.HitFilter = f }
}

// without is a context that lacks one value.
type without struct {
	context.Context
	key any
}

// Value implements context.Context.
func (c without) Value(key any) any {
	if key == c.key {
		return nil
	}
	return c.Context.Value(key)
}

// purgeLog records purges outside of the Storage, for forgetful and clocked.
type purgeLog struct {
	world *world
	own   bool // each cache has a log of its own, and loses it at a restart
	dates bool // the log compares with the Date of an entry, not with the time of its receipt

	mu         sync.Mutex
	all, group [2]time.Time
}

func (l *purgeLog) config(cfg *middleware.Config, cache int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.own {
		l.all[cache], l.group[cache] = time.Time{}, time.Time{}
	} else {
		cache = 0
	}
	cfg.HitFilter = func(_ *http.Request, meta *cirque.CacheMeta) rules.ForcedFreshness {
		l.mu.Lock()
		defer l.mu.Unlock()
		at := meta.Updated()
		if l.dates {
			if date, err := http.ParseTime(meta.Header().Get("Date")); err == nil && date.After(at) {
				at = date
			}
		}
		if !at.After(l.all[cache]) || meta.Header().Get("Cache-Groups") != "" && !at.After(l.group[cache]) {
			return rules.ForceMiss
		}
		return 0
	}
}

func (l *purgeLog) purge(s *step, _ *resource) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	cache := s.cache
	if !l.own {
		cache = 0
	}
	switch s.purge {
	case purgeAll:
		l.all[cache] = time.Now()
	case purgeGroup:
		l.group[cache] = time.Now()
	default:
		return false
	}
	return true
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// asked lets edit change the requests before the cache receives them.
func asked(edit func(*http.Request)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			edit(r)
			return next.RoundTrip(r)
		})
	}
}

// answered lets edit change the responses of the cache.
func answered(edit func(*http.Request, *http.Response)) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if err == nil {
				edit(r, resp)
			}
			return resp, err
		})
	}
}

// passing sends requests with some methods to the origin directly.
func passing(w *world, next http.RoundTripper, methods ...string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		for _, method := range methods {
			if r.Method == method {
				resp, err := serving{outer(w)}.RoundTrip(r)
				if err == nil {
					resp.Header.Set("Cache-Status", "Cirque; fwd=bypass")
				}
				return resp, err
			}
		}
		return next.RoundTrip(r)
	})
}

// edited lets edit change the header of the origin's answers.
func edited(edit func(http.Header)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(&editor{ResponseWriter: w, edit: edit}, r)
		})
	}
}

type editor struct {
	http.ResponseWriter
	edit func(http.Header)
}

// WriteHeader implements http.ResponseWriter.
func (e *editor) WriteHeader(status int) {
	e.edit(e.Header())
	e.ResponseWriter.WriteHeader(status)
}

// Flush implements http.Flusher.
func (e *editor) Flush() { _ = http.NewResponseController(e.ResponseWriter).Flush() }

// lastEnded keeps, for each URL, the response whose body ended last. It replaces hits with it.
type lastEnded struct {
	mu   sync.Mutex
	kept map[string]*answer
}

func newLastEnded() *lastEnded { return &lastEnded{kept: make(map[string]*answer)} }

func (l *lastEnded) front(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		if err != nil || r.Method != http.MethodGet || resp.StatusCode != http.StatusOK {
			return resp, err
		}
		name := fmt.Sprint(r.URL.Path, r.Header[languageField], r.Header[cookieField])
		status := resp.Header.Get("Cache-Status")
		if strings.Contains(status, "; stored") {
			resp.Body = &ending{ReadCloser: resp.Body, ended: func(body []byte) {
				l.mu.Lock()
				defer l.mu.Unlock()
				l.kept[name] = &answer{header: resp.Header.Clone(), body: string(body)}
			}}
		}
		l.mu.Lock()
		last := l.kept[name]
		l.mu.Unlock()
		if strings.Contains(status, "; hit") && last != nil && last.header.Get(issueField) != resp.Header.Get(issueField) {
			resp.Body.Close()
			resp.Header = last.header.Clone()
			resp.Header.Set("Cache-Status", "Cirque; hit")
			resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(last.body)), int64(len(last.body))
		}
		return resp, nil
	})
}

// ending calls ended when the body has been read to its end.
type ending struct {
	io.ReadCloser
	body  bytes.Buffer
	ended func([]byte)
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.ReadCloser.Read(p)
	e.body.Write(p[:n])
	if err == io.EOF && e.ended != nil {
		e.ended(e.body.Bytes())
		e.ended = nil
	}
	return n, err
}
