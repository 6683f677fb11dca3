package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
)

// invalidate removes what an answer to an unsafe request makes invalid (RFC 9111 §4.4, RFC 9875 §3). It returns how often
// that was what a POST's answer might be stored as.
func (x *exchange) invalidate(a *answerHead) (own int) {
	if !cirque.IsUnsafe(x.req.Method) {
		return 0
	}
	for _, u := range cirque.Invalidates(x.req, a.status, a.header) {
		key, ok := x.cache.key(x.door, syntheticGet(x.req, u), x.req.Header)
		if !ok {
			continue
		}
		if err := x.cache.opts.Purge(context.WithoutCancel(x.client), key); err != nil && !errors.Is(err, cirque.ErrNotFound) {
			x.cache.storageFailed("purge", err)
		}
		if x.post != nil && key.PrimaryHash() == x.post.key.PrimaryHash() {
			own++
		}
	}
	if groups := cirque.InvalidatedGroups(x.req, a.status, a.header); len(groups) > 0 {
		err := x.cache.opts.PurgeGroups(context.WithoutCancel(x.client), originOf(x.req), groups...)
		if err != nil {
			x.cache.storageFailed("purge", err)
		}
	}
	return own
}

// originOf names the origin of a request (RFC 6454 §4): what a cache group is valid within.
func originOf(r *http.Request) string {
	u := cirque.TargetURI(r)
	return u.Scheme + "://" + u.Host
}

const methodPurge = "PURGE"

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
