package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// Purge removes what a GET for r's URL would find through either door, with all of its variants. A
// response whose fetch began before the purge is not served after it. Purge returns
// cirque.ErrNotFound if nothing was stored.
//
// If r has a RequestURI, it is a server's request, and its URL is the public one: what its client
// asked for, with Config.PublicOrigin and Config.TrustForwarded applied. If r was made by
// http.NewRequest, its URL is the public URL as it stands.
//
// In a private cache that is not SingleUser, Purge only reaches the entries of one user: the one
// whose Authorization and Cookie fields are in r. The same holds for SoftPurge, and for PURGE
// requests.
func (c *Cache) Purge(ctx context.Context, r *http.Request) error {
	err := c.purge(r, func(key cirque.CacheKey) error { return c.opts.Purge(ctx, key) })
	return c.purged(purgeOfKey, false, err, c.publicURL(r))
}

// SoftPurge marks as stale what Purge would remove. It is validated before it is used again. If the
// response allows it, it may be served stale meanwhile, so that the origin does not get many
// requests at once.
func (c *Cache) SoftPurge(ctx context.Context, r *http.Request) error {
	now := time.Now()
	err := c.purge(r, func(key cirque.CacheKey) error { return c.opts.MarkStale(ctx, key, now) })
	return c.purged(purgeOfKey, true, err, c.publicURL(r))
}

// PurgeAll makes the whole content of the Storage count as not found, whatever its namespace,
// together with all responses that are being fetched. It holds for all Caches on the Storage, and
// after a restart if the Storage outlives the process.
//
// An error means that the Storage did not keep the purge. PurgeAll does not visit the entries, so
// its time does not depend on their number; their space is reused as new responses need it.
func (c *Cache) PurgeAll(ctx context.Context) error {
	c.mustBeNew()
	return c.purged(purgeOfAll, false, c.opts.Storage.Purges().PurgeAll(ctx), nil)
}

// PurgeGroup does the same as PurgeAll, for all responses of r's origin that are in the cache group
// (RFC 9875 §2). It covers both http and https of the host: behind a proxy that ends TLS
// connections, and without Config.PublicOrigin, responses for https clients are stored as http.
func (c *Cache) PurgeGroup(ctx context.Context, r *http.Request, group string) error {
	c.mustBeNew()
	var errs []error
	purged := make(map[string]bool)
	for _, t := range c.targets(r) {
		for _, t.scheme = range [...]string{"http", "https"} {
			t.host = rules.NormalHost(t.scheme, t.host)
			if origin := t.origin(); !purged[origin] {
				purged[origin] = true
				errs = append(errs, c.opts.Storage.Purges().PurgeGroups(ctx, origin, group))
			}
		}
	}
	return c.purged(purgeOfGroup, false, errors.Join(errs...), c.publicURL(r), group)
}

// targets returns the target of r's URL behind each door. If r has a RequestURI, it is a server's
// request, and its target is what its client asked for. If its URL also has a host, as after a
// reverse proxy has set it, the target behind a Transport is that URL.
func (c *Cache) targets(r *http.Request) [doorCount]target {
	t := c.target(doorHandler, r)
	targets := [doorCount]target{doorHandler: t, doorTransport: t}
	if r.URL.Host != "" {
		targets[doorTransport] = c.target(doorTransport, r)
	}
	return targets
}

// publicURL returns a function that returns the URL that a purge by r is of.
func (c *Cache) publicURL(r *http.Request) func() string {
	return func() string {
		t := c.target(doorHandler, r)
		return t.url()
	}
}

// purge calls purge with the key of r behind each door. It returns cirque.ErrNotFound if that found
// nothing behind either.
func (c *Cache) purge(r *http.Request, purge func(cirque.CacheKey) error) error {
	c.mustBeNew()
	r = c.normalized(r) // as requests are, before their entries are looked up
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
	softPurgeField = "Soft-Purge" // a PURGE request with this field is a SoftPurge
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
	err := purge(context.WithoutCancel(r.Context()), r) // the client may leave before the answer
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
