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

// MinMaxBytes is the least value of Config.MaxBytes, in bytes. It is enough for one small response.
const MinMaxBytes = 4 << 10

// Ranges says what the cache does with a Range request that it cannot answer from what is stored.
type Ranges uint8

const (
	// RangesWhole fetches the whole representation, stores it, and answers the range from it while
	// it arrives. If Content-Length announces more than MaxObjectBytes, the cache cancels that
	// fetch, sends the range to the origin, and stores nothing.
	RangesWhole Ranges = iota
	// RangesForward sends the range to the origin. It is meant for large media. The cache stores
	// the part that comes back if it has a strong validator, and combines parts of one
	// representation (RFC 9111 §3.3 and §3.4).
	RangesForward
)

// Config configures New. The zero Config is a shared cache in memory. Every limit has a default,
// which zero selects; a negative limit is an error. Several caches may be made from one Config.
// They then share its Storage, if it has one, which must be made for that.
type Config struct {
	// MaxBytes is the hard limit on the memory of the cache, in bytes: bodies, headers, bookkeeping
	// and responses that are being stored. Default 256 MiB. Less than MinMaxBytes is an error,
	// because nothing would fit. With a Storage of your own, MaxBytes bounds the bodies that
	// clients read while the Storage is storing them.
	MaxBytes int64
	// MaxObjectBytes is the largest body that is stored, in bytes. Clients get larger ones in full,
	// but they are not stored. Default: 32 MiB or MaxBytes/8, whichever is less. With the default
	// Storage, more than MaxBytes/2 counts as MaxBytes/2: nothing is evicted for a larger body, so
	// it would find no room.
	MaxObjectBytes int64
	// MaxHeaderBytes is the largest header section that is stored, in bytes. Default 64 KiB.
	MaxHeaderBytes int

	// Namespace is part of all keys. It separates this cache from others in the same Storage.
	Namespace string
	// Private makes the cache a private one (RFC 9111 §1), which also stores responses meant for
	// one user. Its keys contain hashes of Authorization and Cookie. So a client that sends the
	// credentials of many users never gets the response of another user. A request of one user can
	// only purge or invalidate the responses of that user.
	Private bool
	// SingleUser leaves the credentials out of the keys of a private cache: all responses belong to
	// one user. It needs Private.
	SingleUser bool
	// Ranges says what the cache does with Range requests on a miss. Default RangesWhole.
	Ranges Ranges
	// SetCookie says what the cache does with responses that set cookies. By default it stores them
	// without Set-Cookie. The client whose request fetched the response gets the field, and no
	// other client does, in a private cache too. A shared cache stores such a response only if the
	// origin gives it explicit freshness.
	SetCookie rules.SetCookie
	// HeadAsGet sends a GET to the origin when a HEAD request is a miss, so that the answer can be
	// stored.
	HeadAsGet bool

	// Storage keeps the responses. Nil: a memcache.MemCache of MaxBytes. With a Storage of your
	// own, Eviction decides which entries are removed; a nil Eviction means that the Storage does
	// so itself.
	Storage  cirque.Storage
	Eviction cirque.EvictionManager
	// EvictionPolicy names the eviction policy of the default Storage, one of eviction.Names.
	// Default eviction.Default.
	EvictionPolicy string
	// Lock makes one of several simultaneous misses fetch while the others wait. Nil: a
	// cirque.NewCacheLock with LockAge.
	Lock cirque.CacheKeyLock
	// Predictor remembers which keys are uncacheable. Nil: a predictor.Predictor.
	Predictor cirque.CacheablePredictor

	// LockWait is how long a request may wait, in total, until another request's fill has a header.
	// After that it goes to the origin, and its answer is not stored. Default 5 s.
	LockWait time.Duration
	// LockAge is how long one fill may keep others waiting. After that, one of those who wait
	// begins another fill. Default 30 s.
	LockAge time.Duration
	// FillIdle is how long a fill may make no progress before it is ended. It also ends a fetch
	// that has no header yet and no client any more. While a client waits for the header, the
	// client decides how long. Default 60 s.
	FillIdle time.Duration
	// FillUnread is how long a fill may have no reader, or be held up at one write by the Storage
	// or a slow reader, before it is ended. Default 5 min.
	FillUnread time.Duration
	// StallTimeout is how long a client may stop reading a body of 64 KiB or more while others need
	// the memory of that body. The client has this time for each 256 KiB that it was given at once.
	// A client that exceeds it is dropped: its connection is cut, or the error of its Read wraps
	// cirque.ErrSlowReader. While there is enough memory, clients may read as slowly as they like.
	// Default 30 s.
	StallTimeout time.Duration
	// MaxFills bounds the number of fills at one time. When it is reached, a fill that nobody reads
	// or waits for gives its place to a new one. An eighth of the places is reserved for clients,
	// and URLs, that hold less than a quarter. If there is no place, a miss goes to the origin and
	// is not stored, and so do the requests that wait for it; their Cache-Status says
	// too-many-fills. Default 256.
	MaxFills int
	// MaxRevalidations bounds the number of background revalidations at one time. When it is
	// reached, one that has run for more than LockAge gives its place to a new one. Default 64.
	MaxRevalidations int

	// FreshFor returns the lifetime of responses without explicit freshness, by status. Nil: only
	// the heuristic of RFC 9111 §4.2.2. For a 5xx, it is also the upper limit of the lifetime that
	// the response itself gives, and the windows of RFC 5861 do not extend it; see
	// StoreServerErrors.
	FreshFor func(status int) time.Duration
	// StoreServerErrors stores a 5xx for as long as the response itself says. By default a 5xx is
	// stored only if FreshFor gives its status a lifetime: handlers often set Cache-Control for the
	// page first, and send it with an error that occurs later.
	StoreServerErrors bool
	// StaleWhileRevalidate and StaleIfError are the windows of RFC 5861 for responses that do not
	// name their own. Default zero: a stale response is served only if the response itself allows
	// it.
	StaleWhileRevalidate, StaleIfError time.Duration
	// TargetedFields are the response fields that the cache obeys instead of Cache-Control, the
	// most important first (RFC 9213 §2.2). Nil: CDN-Cache-Control for a shared cache, none for a
	// private one.
	TargetedFields []string
	// FractionalSeconds accepts fractions of seconds, such as max-age=0.5.
	FractionalSeconds bool

	// PublicOrigin is the origin in the URLs that clients use, such as "https://www.example.com".
	// It is for a Handler whose server is behind a proxy that ends TLS connections. Keys, purges,
	// invalidations and cache groups use its scheme and host instead of those of the request.
	// Requests that reach the Handler with different Hosts still get different answers.
	//
	// "https://*" sets the scheme and keeps the Host of the request, for servers of several hosts.
	// PublicOrigin does not apply to Transports: their requests say where they go. Empty: the
	// scheme is that of the connection, and the host is Host.
	PublicOrigin string
	// TrustForwarded reports whether a Handler's request comes from a proxy whose X-Forwarded-Proto
	// and X-Forwarded-Host fields can be trusted. If so, they are the public scheme and host, as
	// with PublicOrigin. A scheme in PublicOrigin has precedence; TrustForwarded cannot be set if
	// PublicOrigin names a host.
	//
	// Such a proxy must set or remove both fields, whatever its client sends. A field that is
	// missing, invalid, or has several values is ignored. Nil: no request is trusted, because any
	// client can send these fields.
	TrustForwarded func(*http.Request) bool
	// Key returns the primary key of a request, or false if the request must not be cached. The
	// result must depend on the request line and Host only. Key is also called with a GET made by
	// the cache, for invalidations. URL, RequestURI, Host and TLS of its request show what the
	// client asked for: see PublicOrigin.
	//
	// The handler behind the cache may see another URL or Host, for example under http.StripPrefix.
	// That is a variance under the key. Its query and Host are part of that variance only if they
	// differ from those of the client, so a key may leave them out. Nil: DefaultKey.
	Key func(*http.Request) (key string, ok bool)
	// UserTag returns the user to whom the response to a request is counted. Nil: nobody.
	UserTag func(*http.Request) string
	// RequestFilter reports whether the cache may be used for a request. It applies in addition to
	// the rules. Nil: always.
	RequestFilter func(*http.Request) bool
	// HitFilter may override the freshness of the entry that was found. Nil: the entry's own
	// freshness.
	HitFilter func(*http.Request, *cirque.CacheMeta) rules.ForcedFreshness
	// ResponseFilter returns a reason if a response must not be stored although the rules allow it,
	// and "" otherwise. Nil: it refuses nothing.
	ResponseFilter func(r *http.Request, status int, header http.Header) cirque.NoCacheReason
	// Normalize gives request fields other values before the cache selects a response, so that
	// groups of languages, codings or devices share a response. It maps the name of a field to its
	// rule. The rule gets the lines of the field, none if it is absent, and returns the new value;
	// "" removes the field. The origin gets the new value too, so a stored response was made for
	// the whole group and not for one client's spelling.
	//
	// Without a rule, requests that differ in a field named by Vary never share a response (RFC
	// 9111 §4.1). LanguageClass and EncodingClass return common rules. A request for which the
	// cache is not used keeps its fields. Rules may be called concurrently, and must not change the
	// lines.
	Normalize map[string]func(lines []string) string
	// Variance adds dimensions to the variance of a request, in addition to Vary. It must always
	// add the same ones for the same request. Nil: none.
	Variance func(*http.Request, *cirque.VarianceBuilder)
	// ServeStale decides whether a stale entry is served in place of an error. status is the error
	// status of the origin; it is zero if err kept the origin from answering. ServeStale is called
	// only if the rules allow the stale entry. Nil: always.
	ServeStale func(r *http.Request, meta *cirque.CacheMeta, status int, err error) bool
	// NotModified decides whether a conditional request is answered with 304. Nil: RFC 9110
	// §13.2.2.
	NotModified func(*http.Request, *cirque.CacheMeta) bool
	// AuthorizePurge reports whether a PURGE request is allowed. Nil: none is.
	AuthorizePurge func(*http.Request) bool

	// Refresh returns the handler to which the cache sends the request of a background
	// revalidation, at the Handler door. r is the request that caused it. The result should be the
	// outermost handler, so that the new request passes through everything that r passed through on
	// its way to the cache. If it is nil, the client of r waits for the revalidation.
	//
	// A nil Refresh means the Handler of the *http.Server in the context of r, or
	// http.DefaultServeMux if that Handler is nil. Then clients wait if there is no such server, as
	// with HTTP/3. They also wait if the server has a BaseContext or ConnContext and
	// BackgroundContext is nil, because the values of these contexts would be missing.
	Refresh func(r *http.Request) http.Handler
	// BackgroundContext returns the context of a background revalidation that r caused, with the
	// values that the server's BaseContext and ConnContext add. The context of r itself has ended
	// by then. The cache adds http.ServerContextKey and http.LocalAddrContextKey. Nil:
	// context.Background.
	BackgroundContext func(r *http.Request) context.Context
	// Trace is called at the events of all requests, beside the trace in a request's context
	// ([cirque.WithCacheTrace]). Its hooks must be quick, must not panic, and may be called
	// concurrently. Nil: none.
	Trace *cirque.CacheTrace
	// Name is the name of the cache in Cache-Status (RFC 9211 §2), a token. Default "Cirque".
	Name string
	// CacheStatusKey adds the key to Cache-Status. Then clients can see what the key consists of.
	CacheStatusKey bool
	// Logger gets what no response can show: failures of the Storage, and panics in the background.
	// Nil: slog.Default() at the time of logging. To log nothing, use
	// slog.New(slog.DiscardHandler).
	Logger *slog.Logger
}

// withDefaults returns a copy of cfg with the defaults set, or an error that lists everything that
// is wrong with cfg.
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

// setLimits sets every size, duration and count that is zero to its default. Negative ones are
// errors.
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

// checkChoices returns an error for each value that does not exist, and for each pair of fields
// that cannot be set together.
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
		errs = append(errs, errors.New("an Eviction needs a Storage; for the default Storage set EvictionPolicy"))
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

// validToken reports whether s is a token of Structured Fields (RFC 9651 §3.3.4).
func validToken(s string) bool {
	for i, r := range s {
		alpha := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '*'
		if !alpha && (i == 0 || !('0' <= r && r <= '9') && !strings.ContainsRune(":/!#$%&'+-.^_`|~", r)) {
			return false
		}
	}
	return s != ""
}

// options builds what the requests of the cache share. The Config has its defaults.
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
		opts.Lock = cirque.NewCacheLock(cfg.LockAge)
	}
	if opts.Predictor == nil {
		opts.Predictor = predictor.New(predictor.Config{})
	}
	return opts, nil
}

// policy returns the rules with the choices of the Config.
func (cfg *Config) policy() *rules.Policy {
	return &rules.Policy{
		Private:           cfg.Private,
		SetCookie:         cfg.SetCookie,
		TargetedFields:    cfg.TargetedFields,
		FractionalSeconds: cfg.FractionalSeconds,
		MaxHeaderBytes:    cfg.MaxHeaderBytes,
		StoreServerErrors: cfg.StoreServerErrors,
		Defaults: rules.CacheMetaDefaults{
			FreshFor:             cfg.FreshFor,
			StaleWhileRevalidate: cfg.StaleWhileRevalidate,
			StaleIfError:         cfg.StaleIfError,
		},
	}
}
