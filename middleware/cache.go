package middleware

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cirquecache/cirque"
)

// Cache is an HTTP cache with two front doors, Handler and Transport. It is safe for concurrent
// use.
type Cache struct {
	cfg        Config
	opts       *cirque.CacheOptions
	policy     *cirque.Policy
	namespaces [doorCount]string
	groups     groupLog

	fills         limiter
	revalidations limiter
	flights       flights
	unreached     unreached
	waitsSaid     sync.Once // that there is no background revalidation

	// background is done when Close gives up waiting: everything that outlives its request ends then.
	background context.Context
	abort      context.CancelCauseFunc
	validAfter atomic.Int64 // Unix nanoseconds; zero for none

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
	c := &Cache{
		cfg:           cfg,
		opts:          opts,
		policy:        cfg.policy(),
		fills:         make(limiter, cfg.MaxFills),
		revalidations: make(limiter, cfg.MaxRevalidations),
		namespaces:    namespaces(cfg.Namespace),
	}
	c.background, c.abort = context.WithCancelCause(context.Background())
	return c, nil
}

// Options returns what the cache drives its HttpCaches with, for those who want to drive one themselves beside it, or to
// put responses into the cache (package put).
func (c *Cache) Options() *cirque.CacheOptions { return c.opts }

// Policy returns the rules that the cache goes by.
func (c *Cache) Policy() *cirque.Policy { return c.policy }

// ErrClosed is why fills and revalidations end that were under way when Close ran out of time.
var ErrClosed = errors.New("middleware: cache closed")

// Close lets the fills and background revalidations under way come to their end, or aborts them when ctx
// ends, and returns when none is left; its error is ctx's. From Close on nothing more is stored: hits are still served, and
// what else is asked for passes through. The Storage stays open: who made it closes it.
func (c *Cache) Close(ctx context.Context) error {
	c.underWay.close()
	ended := c.underWay.ended()
	defer c.abort(ErrClosed)
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		c.abort(ErrClosed)
		<-ended
		return ctx.Err()
	}
}

// Wait returns when the fills and background revalidations have ended that are under way now, or when ctx ends, with its
// error. A client can have the whole of a response before the Storage has; after Wait the next request finds
// what became of it. It is for tests above all, and must not be called from inside a fill: by a handler behind the
// cache, or a hook.
func (c *Cache) Wait(ctx context.Context) error {
	select {
	case <-c.underWay.ended():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// storageFailed reports a failing Storage. The request goes on without it.
func (c *Cache) storageFailed(op string, err error) {
	c.cfg.Logger.Error("cirque: storage failed", slog.String("op", op), slog.Any("err", err))
}

// validAfterTime returns the instant of the last PurgeAll; zero for none.
func (c *Cache) validAfterTime() time.Time {
	if ns := c.validAfter.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// limiter bounds how many of something there are at one time.
type limiter chan struct{}

func (l limiter) tryAcquire() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l limiter) release() { <-l }
