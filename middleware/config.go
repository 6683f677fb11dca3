package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/eviction"
	"github.com/cirquecache/cirque/memcache"
	"github.com/cirquecache/cirque/predictor"
	"github.com/cirquecache/cirque/rules"
)

// Defaults of Config.
const (
	DefaultMaxBytes         = 256 << 20
	DefaultMaxObjectBytes   = 32 << 20 // or an eighth of MaxBytes, if that is less
	DefaultMaxHeaderBytes   = 64 << 10
	DefaultLockWait         = 5 * time.Second
	DefaultLockAge          = 30 * time.Second
	DefaultFillIdle         = time.Minute
	DefaultFillUnread       = 5 * time.Minute
	DefaultStallTimeout     = 30 * time.Second
	DefaultMaxFills         = 256
	DefaultMaxRevalidations = 64
	DefaultName             = "Cirque"
)

// MinMaxBytes is the least that Config.MaxBytes may be, in bytes: enough for one small response.
const MinMaxBytes = 4 << 10

// Ranges says what to do with a Range request that the cache cannot answer.
type Ranges uint8

const (
	// RangesWhole fetches the whole representation, stores it, and answers the range from it as it
	// comes. If Content-Length announces more than MaxObjectBytes, that fetch is given up and the
	// range is sent on, uncached.
	RangesWhole Ranges = iota
	// RangesForward sends the range on, for large media, and stores the part that comes back if it
	// has a strong validator; parts of one representation are combined (RFC 9111 §3.3 and §3.4).
	RangesForward
)

// Config configures New. The zero Config is a shared cache in memory. Every limit has a default,
// which zero selects; negative values are errors. A Config may be used for several caches as long
// as they do not share a Storage that is not meant to be shared.
type Config struct {
	// MaxBytes is the hard limit on the memory the cache holds: bodies, headers, bookkeeping and
	// writes in flight. Default 256 MiB; less than MinMaxBytes is an error, as nothing would fit.
	// With a Storage of your own it bounds the bodies that are read while that stores them.
	MaxBytes int64
	// MaxObjectBytes is the largest body stored. Larger ones pass through whole. Default: the
	// lesser of 32 MiB and MaxBytes/8. More than half of MaxBytes counts as that half, unless there
	// is a Storage of your own: nothing is evicted for a larger body, so it would find no room.
	MaxObjectBytes int64
	// MaxHeaderBytes is the largest header section stored. Default 64 KiB.
	MaxHeaderBytes int

	// Namespace sets this cache's keys apart from those of others in the same Storage.
	Namespace string
	// Private makes the cache a private one (RFC 9111 §1): it stores what is meant for one user,
	// and the keys hold hashes of Authorization and Cookie, so that one client that carries many
	// users' credentials never mixes them. What one user's request purges or invalidates is that
	// user's.
	Private bool
	// SingleUser leaves the credentials out of a private cache's keys: everything belongs to one
	// user.
	SingleUser bool
	// Ranges says what becomes of Range requests on a miss. Default RangesWhole.
	Ranges Ranges
	// SetCookie says what becomes of responses that set cookies. By default they are stored without
	// Set-Cookie, which reaches the client whose request fetched them and no other, in a private
	// cache too. A shared cache does not store them at all unless the origin gives them explicit
	// freshness.
	SetCookie rules.SetCookie
	// HeadAsGet fetches with GET what a HEAD request misses, so that it can be stored.
	HeadAsGet bool

	// Storage keeps the responses. Nil: a memcache.MemCache within MaxBytes. With a Storage of your
	// own, Eviction says what leaves; nil means that the Storage looks after itself.
	Storage  cirque.Storage
	Eviction cirque.EvictionManager
	// EvictionPolicy names the policy of the default storage, one of eviction.Names. Default
	// eviction.Default.
	EvictionPolicy string
	// Lock coalesces concurrent misses. Nil: a cirque.CacheLock with LockAge.
	Lock cirque.CacheKeyLock
	// Predictor remembers what is uncacheable. Nil: a predictor.Predictor.
	Predictor cirque.CacheablePredictor

	// LockWait is how long a request may wait, altogether, for another's fill to yield a header,
	// before it fetches uncached. Default 5 s.
	LockWait time.Duration
	// LockAge is how long a fill may keep others waiting before one of them begins another. Default
	// 30 s.
	LockAge time.Duration
	// FillIdle ends a fill that makes no progress. Default 60 s.
	FillIdle time.Duration
	// FillUnread ends a fill that has had no reader for this long, or that the Storage or a slow
	// reader holds up for so long at one write. Default 5 min.
	FillUnread time.Duration
	// StallTimeout is how long a client may not read on, when memory is wanted that a body of 64
	// KiB or more takes which is being sent to it: then its connection is cut, or the error of its
	// Read wraps cirque.ErrSlowReader. It has as long for each 256 KiB that it was given at once.
	// As long as there is room it may take its time. Default 30 s.
	StallTimeout time.Duration
	// MaxFills bounds the fills at one time. When there are as many, those that nobody reads or
	// waits for give way to new ones; an eighth is for clients, and URLs, that hold less than a
	// quarter. Further misses pass through uncached, those that waited for one of them as well:
	// Cache-Status says too-many-fills. Default 256.
	MaxFills int
	// MaxRevalidations bounds the background revalidations at one time; one that has not had an
	// answer for LockAge gives way to a new one. Default 64.
	MaxRevalidations int

	// FreshFor gives responses without explicit freshness a lifetime by status. Nil: only the
	// heuristic of RFC 9111 §4.2.2. For a 5xx it is also the most that its own directives can get
	// it, and no window of RFC 5861 adds to it; see StoreServerErrors.
	FreshFor func(status int) time.Duration
	// StoreServerErrors lets a 5xx be stored for as long as it says itself. By default it is not
	// stored, unless FreshFor grants its status a lifetime: handlers set Cache-Control for the
	// page, and an error that comes about later goes out with it.
	StoreServerErrors bool
	// StaleWhileRevalidate and StaleIfError are the windows of RFC 5861 where a response names
	// none. Default zero: stale responses are served only as responses allow.
	StaleWhileRevalidate, StaleIfError time.Duration
	// TargetedFields are the response fields that take precedence over Cache-Control, in order (RFC
	// 9213 §2.2). Nil: CDN-Cache-Control for a shared cache, none for a private one.
	TargetedFields []string
	// FractionalSeconds accepts max-age=0.5 and the like.
	FractionalSeconds bool

	// PublicOrigin is the origin that clients ask, where a Handler's server stands behind a proxy
	// that ends their TLS connections: "https://www.example.com". Its scheme and host take the
	// place of those of every request in keys, purges, invalidations and cache groups. Requests
	// that reach the Handler with another Host have answers of their own under it. "https://*"
	// fixes the scheme and leaves the Host as it is, for servers of several hosts. It does not
	// concern Transports, whose requests say where they go. Empty: the connection tells the scheme,
	// and Host the host.
	PublicOrigin string
	// TrustForwarded reports whether a Handler's request comes from a proxy whose X-Forwarded-Proto
	// and X-Forwarded-Host are true. Their scheme and host are then the public ones, as with
	// PublicOrigin; one that PublicOrigin has fixed stays. Such a proxy must set or remove both
	// fields, whatever its client sends. A field that is missing, invalid, or has several values,
	// counts for nothing. Nil: no request is trusted, since any client can send these fields.
	TrustForwarded func(*http.Request) bool
	// Key returns the primary key of a request, or false if the request is not to be cached. It
	// must depend on nothing but the request line and Host, and is called with a synthetic GET for
	// invalidations. URL, RequestURI, Host and TLS of the request it is given say what the client
	// asked for: see PublicOrigin. Where the handler behind the cache sees another URL or Host, as
	// under http.StripPrefix, that is a variance under the key; query and Host only where they are
	// not the client's, so that a key may leave them out. Nil: DefaultKey.
	Key func(*http.Request) (key string, ok bool)
	// UserTag returns whose entry a request's response becomes, for accounting. Nil: nobody's.
	UserTag func(*http.Request) string
	// RequestFilter reports whether the cache takes part in a request. It is asked in addition to
	// the rules. Nil: always.
	RequestFilter func(*http.Request) bool
	// HitFilter may override the freshness of what was found. Nil: the entry's own freshness.
	HitFilter func(*http.Request, *cirque.CacheMeta) cirque.ForcedFreshness
	// ResponseFilter may refuse to store a response that the rules would store, by returning a
	// reason. Nil: never.
	ResponseFilter func(r *http.Request, status int, header http.Header) cirque.NoCacheReason
	// Normalize gives request fields another value before responses are selected by them: for
	// languages, codings or devices that are to share a response. The rule of a field gets its
	// lines, none where it is absent, and returns its value; "" removes it. The origin gets that
	// value too, so that what is stored was made for the class and not for one client's spelling of
	// it. Without a rule, requests that differ in a field named by Vary never share a response (RFC
	// 9111 §4.1). See LanguageClass and EncodingClass. Requests that the cache takes no part in
	// keep their fields. Rules may be called concurrently, and must not change the lines.
	Normalize map[string]func(lines []string) string
	// Variance adds dimensions to the variance of a request, beyond what Vary names. It must
	// add the same ones for the same request. Nil: none.
	Variance func(*http.Request, *cirque.VarianceBuilder)
	// ServeStale decides whether a stale entry stands in for an error: a status of the origin, or
	// an error that kept it from answering. It is asked only where the rules allow it. Nil: always.
	ServeStale func(r *http.Request, meta *cirque.CacheMeta, status int, err error) bool
	// NotModified decides whether a conditional request is answered with 304. Nil: RFC 9110
	// §13.2.2.
	NotModified func(*http.Request, *cirque.CacheMeta) bool
	// AuthorizePurge reports whether a PURGE request may purge. Nil: nobody may.
	AuthorizePurge func(*http.Request) bool

	// Refresh returns the handler that is given the request of a background revalidation that r
	// caused, at the Handler door: the outermost one, so that the request passes what r passed on
	// its way to the cache. With nil there is no such handler, and r's client waits for the
	// revalidation. A nil Refresh: the Handler of the *http.Server that r's context names, or
	// http.DefaultServeMux where that is nil; none if there is no such server, as with HTTP/3, or
	// if the server has a BaseContext or ConnContext while BackgroundContext is nil, because their
	// values would be missing.
	Refresh func(r *http.Request) http.Handler
	// BackgroundContext returns the context of a revalidation in the background that r caused, with
	// the values that the server's BaseContext and ConnContext add; r's own context has ended by
	// then. http.ServerContextKey and http.LocalAddrContextKey are added to it. Nil:
	// context.Background.
	BackgroundContext func(r *http.Request) context.Context
	// Name is the cache's name in Cache-Status (RFC 9211 §2). Default "Cirque".
	Name string
	// CacheStatusKey adds the key to Cache-Status. It tells clients what the key is made of.
	CacheStatusKey bool
	// Logger receives what no response can tell: failures of the Storage, panics in the background.
	// Nil: slog.Default(), as it is when something is logged. For silence use
	// slog.New(slog.DiscardHandler).
	Logger *slog.Logger
}

// withDefaults returns a copy of cfg with the defaults filled in, or what is wrong with it.
func (cfg Config) withDefaults() (Config, error) {
	errs := cfg.setLimits()
	errs = append(errs, cfg.checkChoices()...)
	errs = append(errs, cfg.setNormalize()...)
	errs = append(errs, cfg.checkPublicOrigin()...)
	if cfg.Name == "" {
		cfg.Name = DefaultName
	}
	if !validToken(cfg.Name) {
		errs = append(errs, fmt.Errorf("the Name %q is not a token", cfg.Name))
	}
	if err := errors.Join(errs...); err != nil {
		return cfg, fmt.Errorf("middleware: invalid Config: %w", err)
	}
	return cfg, nil
}

// setLimits sets every size, duration and count that is zero to its default. Negative ones are errors.
func (cfg *Config) setLimits() (errs []error) {
	limit := func(name string, value *int64, fallback int64) {
		switch {
		case *value < 0:
			errs = append(errs, fmt.Errorf("%s is negative: %d", name, *value))
		case *value == 0:
			*value = fallback
		}
	}
	duration := func(name string, value *time.Duration, fallback time.Duration) {
		limit(name, (*int64)(value), int64(fallback))
	}
	count := func(name string, value *int, fallback int) {
		n := int64(*value)
		limit(name, &n, int64(fallback))
		*value = int(n)
	}
	limit("MaxBytes", &cfg.MaxBytes, DefaultMaxBytes)
	if 0 < cfg.MaxBytes && cfg.MaxBytes < MinMaxBytes {
		errs = append(errs, fmt.Errorf("MaxBytes is %d, which is less than the minimum of %d", cfg.MaxBytes, MinMaxBytes))
	}
	limit("MaxObjectBytes", &cfg.MaxObjectBytes, max(1, min(DefaultMaxObjectBytes, cfg.MaxBytes/8)))
	count("MaxHeaderBytes", &cfg.MaxHeaderBytes, DefaultMaxHeaderBytes)
	count("MaxFills", &cfg.MaxFills, DefaultMaxFills)
	count("MaxRevalidations", &cfg.MaxRevalidations, DefaultMaxRevalidations)
	duration("LockWait", &cfg.LockWait, DefaultLockWait)
	duration("LockAge", &cfg.LockAge, DefaultLockAge)
	duration("FillIdle", &cfg.FillIdle, DefaultFillIdle)
	duration("StallTimeout", &cfg.StallTimeout, DefaultStallTimeout)
	duration("FillUnread", &cfg.FillUnread, DefaultFillUnread)
	duration("StaleWhileRevalidate", &cfg.StaleWhileRevalidate, 0)
	duration("StaleIfError", &cfg.StaleIfError, 0)
	return errs
}

// checkChoices returns an error for each value that does not exist, and for each pair of fields that
// cannot be set together.
func (cfg *Config) checkChoices() (errs []error) {
	if cfg.Ranges > RangesForward {
		errs = append(errs, fmt.Errorf("unknown Ranges(%d)", cfg.Ranges))
	}
	if cfg.SetCookie > rules.SetCookieRefuse {
		errs = append(errs, fmt.Errorf("unknown SetCookie(%d)", cfg.SetCookie))
	}
	if cfg.SingleUser && !cfg.Private {
		errs = append(errs, errors.New("SingleUser needs Private"))
	}
	if cfg.Eviction != nil && cfg.Storage == nil {
		errs = append(errs, errors.New("Eviction needs Storage; for the default Storage set EvictionPolicy"))
	}
	if cfg.EvictionPolicy != "" && cfg.Storage != nil {
		errs = append(errs, errors.New("EvictionPolicy is for the default Storage only; for yours set Eviction"))
	}
	return errs
}

// setNormalize gives the fields of Normalize their canonical names, in a copy of the map.
func (cfg *Config) setNormalize() (errs []error) {
	canonical := make(map[string]func([]string) string, len(cfg.Normalize))
	for name, rule := range cfg.Normalize {
		if rule == nil {
			errs = append(errs, fmt.Errorf("no rule for %q in Normalize", name))
		}
		name = http.CanonicalHeaderKey(name)
		if canonical[name] != nil {
			errs = append(errs, fmt.Errorf("two rules for %q in Normalize", name))
		}
		canonical[name] = rule
	}
	cfg.Normalize = canonical
	return errs
}

// checkPublicOrigin checks PublicOrigin, and TrustForwarded beside it.
func (cfg *Config) checkPublicOrigin() []error {
	switch public, err := parsePublicOrigin(cfg.PublicOrigin); {
	case err != nil:
		return []error{err}
	case public.host != "" && cfg.TrustForwarded != nil:
		return []error{errors.New("TrustForwarded has no effect, as PublicOrigin names both scheme and host")}
	}
	return nil
}

// validToken reports whether s can stand as a token in a Structured Field (RFC 9651 §3.3.4).
func validToken(s string) bool {
	for i, r := range s {
		alpha := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '*'
		if !alpha && (i == 0 || !('0' <= r && r <= '9') && !strings.ContainsRune(":/!#$%&'+-.^_`|~", r)) {
			return false
		}
	}
	return s != ""
}

// options builds what the requests of the cache share.
func (cfg *Config) options() (*cirque.CacheOptions, error) {
	opts := &cirque.CacheOptions{
		Storage:        cfg.Storage,
		Eviction:       cfg.Eviction,
		Predictor:      cfg.Predictor,
		Lock:           cfg.Lock,
		LockWait:       cfg.LockWait,
		MaxObjectBytes: cfg.MaxObjectBytes,
	}
	if opts.Storage == nil {
		opts.MaxObjectBytes = min(opts.MaxObjectBytes, cfg.MaxBytes/2)
		policy := cfg.EvictionPolicy
		if policy == "" {
			policy = eviction.Default
		}
		manager, err := eviction.New(policy, cfg.MaxBytes)
		if err != nil {
			return nil, fmt.Errorf("middleware: invalid Config: %w", err)
		}
		budget := cirque.NewBudget(cfg.MaxBytes)
		store := memcache.New(memcache.Config{Budget: budget, StallTimeout: cfg.StallTimeout})
		budget.EvictWith(manager, store)
		opts.Storage, opts.Eviction = store, manager
	} else {
		opts.Spool = cirque.NewBudget(cfg.MaxBytes)
	}
	if opts.Storage.Purges() == nil {
		return nil, fmt.Errorf("middleware: invalid Config: Purges of Storage %T returns nil", opts.Storage)
	}
	if opts.Lock == nil {
		opts.Lock = cirque.NewCacheLock(cirque.CacheLockConfig{AgeTimeout: cfg.LockAge})
	}
	if opts.Predictor == nil {
		opts.Predictor = predictor.New(predictor.Config{})
	}
	return opts, nil
}

// policy returns the rules that suit the Config.
func (cfg *Config) policy() *rules.Policy {
	return &rules.Policy{
		Private:           cfg.Private,
		SetCookie:         cfg.SetCookie,
		TargetedFields:    cfg.TargetedFields,
		FractionalSeconds: cfg.FractionalSeconds,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		StoreServerErrors: cfg.StoreServerErrors,
		Defaults: cirque.CacheMetaDefaults{
			FreshFor:             cfg.FreshFor,
			StaleWhileRevalidate: cfg.StaleWhileRevalidate,
			StaleIfError:         cfg.StaleIfError,
		},
	}
}
