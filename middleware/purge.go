package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Purge removes what a GET for r's URL would find through either door, with all of its variants.
// What was being fetched before is not served after it. It returns cirque.ErrNotFound if there was
// nothing.
//
// The URL of a server's request, one with a RequestURI, is the public one: what its client asked
// for, as Config.PublicOrigin and Config.TrustForwarded see it. Of a request that was made by
// http.NewRequest, it is the public URL as it stands.
//
// In a private cache of many users it reaches the entries of one: of whom r's Authorization and
// Cookie are. The same goes for SoftPurge, and for PURGE requests.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	err := c.purge(r, func(key cirque.CacheKey) error { return c.opts.Purge(ctx, key) })
	return c.counters.purged(purgeOfKey, false, err)
}

// SoftPurge marks stale what Purge would remove. It is validated before it is used again, and may
// be served stale where its response allows that, so that the origin is not flooded.
func (c *Cache) SoftPurge(ctx context.Context, r *http.Request) error {
	now := time.Now()
	err := c.purge(r, func(key cirque.CacheKey) error { return c.opts.MarkStale(ctx, key, now) })
	return c.counters.purged(purgeOfKey, true, err)
}

// PurgeAll makes everything that is in the Storage count as not found, whatever its namespace, and
// everything that is being fetched: for all Caches on the Storage, and after a restart too where
// the Storage outlives it. An error says that the Storage did not keep the purge. It takes no time
// for each entry; the room is given back as new responses need it.
func (c *Cache) PurgeAll(ctx context.Context) error {
	c.mustBeNew()
	return c.counters.purged(purgeOfAll, false, c.opts.PurgeAll(ctx))
}

// PurgeGroup does the same for every response of r's origin that is in the cache group (RFC 9875
// §2). It covers http and https of the host: behind a proxy that ends TLS connections, and without
// Config.PublicOrigin, what clients got by https is stored as http.
func (c *Cache) PurgeGroup(ctx context.Context, r *http.Request, group string) error {
	c.mustBeNew()
	var errs []error
	purged := make(map[string]bool)
	for _, t := range c.targets(r) {
		for _, t.scheme = range [...]string{"http", "https"} {
			t.host = rules.NormalHost(t.scheme, t.host)
			if origin := t.origin(); !purged[origin] {
				purged[origin] = true
				errs = append(errs, c.opts.PurgeGroups(ctx, origin, group))
			}
		}
	}
	return c.counters.purged(purgeOfGroup, false, errors.Join(errs...))
}

// targets returns what r's URL is behind each door. A server's request, one with a RequestURI, is
// for what its client asked for. Where its URL says where it is to be sent, as a reverse proxy
// makes it, that is what it is for behind a Transport.
func (c *Cache) targets(r *http.Request) [doorCount]target {
	t := c.target(doorHandler, r)
	targets := [doorCount]target{doorHandler: t, doorTransport: t}
	if r.URL.Host != "" {
		targets[doorTransport] = c.target(doorTransport, r)
	}
	return targets
}

func (c *Cache) purge(r *http.Request, purge func(cirque.CacheKey) error) error {
	c.mustBeNew()
	r = c.normalized(r) // as the requests whose entries it is for
	found, failed := false, error(nil)
	for d, t := range c.targets(r) {
		key, ok := c.keyOfGet(door(d), &t, r)
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

const (
	methodPurge    = "PURGE"
	softPurgeField = "Soft-Purge" // makes a PURGE request a soft one
)

// servePurge answers a PURGE request.
func (c *Cache) servePurge(w http.ResponseWriter, r *http.Request) {
	if c.cfg.AuthorizePurge == nil || !c.cfg.AuthorizePurge(r) {
		http.Error(w, "purging is not allowed", http.StatusForbidden)
		return
	}
	purge := c.Purge
	if r.Header.Get(softPurgeField) != "" {
		purge = c.SoftPurge
	}
	err := purge(context.WithoutCancel(r.Context()), r) // whoever asked may leave before the answer
	switch {
	case err == nil:
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, cirque.ErrNotFound):
		http.Error(w, "not in the cache", http.StatusNotFound)
	default:
		c.storageFailed("purge", err)
		http.Error(w, "the purge failed", http.StatusInternalServerError)
	}
}
