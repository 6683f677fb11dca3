package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// softPurgeField makes a PURGE request a soft one.
const softPurgeField = "Soft-Purge"

// Purge removes what a GET for r's URL would find through either door, with all of its variants. What was
// being fetched before is not served after it. It returns cirque.ErrNotFound if there was nothing.
//
// In a private cache of many users it reaches the entries of one: of whom r's Authorization and Cookie are. The same goes for
// SoftPurge, and for PURGE requests.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	return c.purge(r, func(key cirque.CacheKey) error { return c.opts.Purge(ctx, key) })
}

// SoftPurge marks stale what Purge would remove. It is validated before it is used again, and may be served
// stale where its response allows that, so that the origin is not flooded.
func (c *Cache) SoftPurge(ctx context.Context, r *http.Request) error {
	now := time.Now()
	return c.purge(r, func(key cirque.CacheKey) error { return c.opts.MarkStale(ctx, key, now) })
}

// PurgeAll makes everything stored until now count as not found. It takes no time, and the room is given
// back as new responses need it.
func (c *Cache) PurgeAll() { c.validAfter.Store(time.Now().UnixNano()) }

// PurgeGroup makes every stored response of r's origin that is in the cache group invalid
// (RFC 9875 §2).
func (c *Cache) PurgeGroup(r *http.Request, group string) {
	c.groups.invalidate(originOf(r), []string{group})
}

func (c *Cache) purge(r *http.Request, purge func(cirque.CacheKey) error) error {
	c.mustBeNew()
	get := syntheticGet(r, r.URL)
	found, failed := false, error(nil)
	for d := range c.namespaces {
		key, ok := c.key(door(d), get, r.Header)
		if !ok {
			continue
		}
		switch err := purge(key); {
		case err == nil:
			found = true
		case !errors.Is(err, cirque.ErrNotFound):
			failed = errors.Join(failed, err)
		}
	}
	switch {
	case failed != nil:
		return failed
	case !found:
		return cirque.ErrNotFound
	}
	return nil
}
