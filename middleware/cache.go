package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Cache is an HTTP cache with two front doors, Handler and Transport. It is safe for concurrent
// use. It must be made by New; the zero Cache panics when it is used.
type Cache struct {
	cfg        Config
	opts       *cirque.CacheOptions
	policy     *rules.Policy
	namespaces [doorCount]string
	public     publicOrigin
	budgets    []*cirque.Budget // of the Storage

	fills         places
	revalidations revalidations
	flights       flights
	sends         sends
	unreached     unreached
	noChainLogged sync.Once // for the warning that background revalidation is not possible

	// background ends when Close stops waiting. Then everything that outlives its request ends.
	background context.Context
	abort      context.CancelCauseFunc

	underWay underWay
	counters *counters
	curve    atomic.Pointer[curve] // nil: there is none
	resizing sync.Mutex            // held by SetMaxBytes
	refusals refusals
	has      [doorCount]atomic.Bool // the doors that were made
	watchers watchers
}

// New returns a cache, or an error that lists what is wrong with cfg. The zero Config is a shared
// cache with 256 MiB of memory.
func New(cfg Config) (*Cache, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	opts, err := cfg.options()
	if err != nil {
		return nil, err
	}
	public, err := parsePublicOrigin(cfg.PublicOrigin)
	if err != nil {
		return nil, err
	}
	c := &Cache{
		cfg:           cfg,
		public:        public,
		opts:          opts,
		policy:        cfg.policy(),
		budgets:       cirque.StorageBudgets(opts.Storage),
		fills:         places{max: cfg.MaxFills, patience: cfg.LockAge},
		revalidations: revalidations{max: cfg.MaxRevalidations, patience: cfg.LockAge},
		namespaces:    namespaces(cfg.Namespace),
		counters:      newCounters(),
	}
	c.curve.Store(newCurve(opts))
	c.sends.stall = cfg.StallTimeout
	for _, budget := range append(slices.Clone(c.budgets), opts.Spool) {
		c.sends.stop = append(c.sends.stop, budget.OnRefusal(c.sends.onRefusal))
	}
	c.background, c.abort = context.WithCancelCause(context.Background())
	return c, nil
}

// mustBeNew panics if c was not made by New.
func (c *Cache) mustBeNew() {
	if c == nil || c.opts == nil {
		panic("middleware: this Cache was not made by New")
	}
}

// Options returns the options with which the cache drives each HttpCache. They are for programs
// that drive an HttpCache themselves beside this cache, or put responses into it (package put).
func (c *Cache) Options() *cirque.CacheOptions {
	c.mustBeNew()
	return c.opts
}

// Policy returns the rules that the cache follows.
func (c *Cache) Policy() *rules.Policy {
	c.mustBeNew()
	return c.policy
}

// ErrClosed is the error of fills and revalidations that Close ended because its context ended.
var ErrClosed = errors.New("middleware: cache closed")

// Close waits until the fills and background revalidations under way have ended. If ctx ends first,
// Close aborts them, waits until none is left, and returns the error of ctx.
//
// As soon as Close is called, no new fill begins: hits are still served, and all other requests go
// to the origin. Close does not close the Storage; its owner does.
func (c *Cache) Close(ctx context.Context) error {
	c.mustBeNew()
	c.underWay.close()
	ended := c.underWay.ended()
	defer c.abort(ErrClosed)
	defer c.sends.close()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		c.abort(ErrClosed)
		<-ended
		return ctx.Err()
	}
}

// Wait returns when the fills and background revalidations that are under way now have ended. If
// ctx ends first, it returns the error of ctx.
//
// A client can have the whole of a response before the Storage has it; after Wait the next request
// finds what was stored. Wait is meant for tests. A handler behind the cache and a hook must not
// call it: they can run inside a fill.
func (c *Cache) Wait(ctx context.Context) error {
	c.mustBeNew()
	select {
	case <-c.underWay.ended():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// traceOf returns the hooks for a request with this context: those of the context, and
// Config.Trace.
func (c *Cache) traceOf(ctx context.Context) *cirque.CacheTrace {
	trace := cirque.ContextCacheTrace(ctx)
	switch {
	case trace == nil:
		return c.cfg.Trace
	case c.cfg.Trace == nil:
		return trace
	}
	return cirque.ContextCacheTrace(cirque.WithCacheTrace(ctx, c.cfg.Trace))
}

// logger returns Config.Logger, or the default logger of this moment.
func (c *Cache) logger() *slog.Logger {
	if c.cfg.Logger == nil {
		return slog.Default()
	}
	return c.cfg.Logger
}

// storageFailed logs that the Storage failed. The request continues without it.
func (c *Cache) storageFailed(op string, err error) {
	c.counters.storageErrors.add(op)
	c.logger().Error("cirque: storage failed", slog.String("op", op), slog.Any("err", err))
}

// recoverBackground is the only recover boundary of a background goroutine. It logs the panic.
//
// INVARIANT: it is the first defer of the goroutine, so it runs last. The other defers release what
// the goroutine holds, and a broken Storage can panic there once more.
func (c *Cache) recoverBackground(what string) {
	if p := recover(); p != nil && p != http.ErrAbortHandler {
		c.reportPanic(what, p)
	}
}

// reportPanic logs a panic, with its stack.
func (c *Cache) reportPanic(what string, p any) {
	c.counters.failures.Add(1)
	c.logger().Error("cirque: panic in background", slog.String("in", what),
		slog.String("panic", fmt.Sprint(p)), slog.String("stack", string(debug.Stack())))
}
