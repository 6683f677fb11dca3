package middleware

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Cache is an HTTP cache with two front doors, Handler and Transport. It is safe for concurrent
// use. New makes one; the zero Cache panics when it is used.
type Cache struct {
	cfg        Config
	opts       *cirque.CacheOptions
	policy     *rules.Policy
	namespaces [doorCount]string
	public     publicOrigin

	fills         places
	revalidations turns
	flights       flights
	sends         sends
	unreached     unreached
	waitsSaid     sync.Once // that there is no background revalidation

	// background is done when Close gives up waiting: everything that outlives its request ends
	// then.
	background context.Context
	abort      context.CancelCauseFunc

	underWay underWay
}

// New returns a cache. The zero Config is a shared cache of 256 MiB in memory.
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
		fills:         places{max: cfg.MaxFills, patience: cfg.LockAge},
		revalidations: turns{max: cfg.MaxRevalidations, patience: cfg.LockAge},
		namespaces:    namespaces(cfg.Namespace),
	}
	c.sends.stall = cfg.StallTimeout
	for _, budget := range opts.Budgets() {
		c.sends.stop = append(c.sends.stop, budget.OnRefusal(c.sends.press))
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

// Options returns what the cache drives its HttpCaches with, for those who want to drive one
// themselves beside it, or to put responses into the cache (package put).
func (c *Cache) Options() *cirque.CacheOptions {
	c.mustBeNew()
	return c.opts
}

// Policy returns the rules that the cache goes by.
func (c *Cache) Policy() *rules.Policy {
	c.mustBeNew()
	return c.policy
}

// ErrClosed is why fills and revalidations end that were under way when Close ran out of time.
var ErrClosed = errors.New("middleware: cache closed")

// Close lets the fills and background revalidations under way come to their end, or aborts them
// when ctx ends, and returns when none is left; its error is ctx's. From Close on nothing more is
// stored: hits are still served, and what else is asked for passes through. The Storage stays open:
// who made it closes it.
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

// Wait returns when the fills and background revalidations have ended that are under way now, or
// when ctx ends, with its error. A client can have the whole of a response before the Storage has;
// after Wait the next request finds what became of it. It is for tests above all, and must not be
// called from inside a fill: by a handler behind the cache, or a hook.
func (c *Cache) Wait(ctx context.Context) error {
	c.mustBeNew()
	select {
	case <-c.underWay.ended():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// logger returns Config.Logger, or what stands for it now.
func (c *Cache) logger() *slog.Logger {
	if c.cfg.Logger == nil {
		return slog.Default()
	}
	return c.cfg.Logger
}

// storageFailed reports a failing Storage. The request goes on without it.
func (c *Cache) storageFailed(op string, err error) {
	c.logger().Error("cirque: storage failed", slog.String("op", op), slog.Any("err", err))
}
