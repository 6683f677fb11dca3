package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// invalidate removes what an answer to an unsafe request makes invalid (RFC 9111 §4.4, RFC 9875
// §3). It returns how often that was what a POST's answer might be stored as.
func (x *exchange) invalidate(a *answerHead) (own int) {
	if !rules.IsUnsafe(x.req.Method) {
		return 0
	}
	asked := x.presented(x.req)
	for i, u := range rules.Invalidates(asked, a.status, a.header) {
		t := x.target.at(u)
		if i == 0 && t != x.target {
			own += x.invalidateTarget(&x.target, asked) // spelt in a way that a URL is not: with what it would escape
		}
		own += x.invalidateTarget(&t, asked)
	}
	if groups := rules.InvalidatedGroups(asked, a.status, a.header); len(groups) > 0 {
		err := x.cache.opts.PurgeGroups(context.WithoutCancel(x.client), x.target.origin(), groups...)
		if err != nil {
			x.cache.storageFailed("purge", err)
		}
	}
	return own
}

// invalidateTarget removes what a GET for t would find. It returns 1 if that is what a POST's
// answer might be stored as.
func (x *exchange) invalidateTarget(t *target, asked *http.Request) (own int) {
	key, ok := x.cache.keyOfGet(x.door, t, asked)
	if !ok {
		return 0
	}
	if err := x.cache.opts.Purge(context.WithoutCancel(x.client), key); err != nil && !errors.Is(err, cirque.ErrNotFound) {
		x.cache.storageFailed("purge", err)
	}
	if x.post != nil && key.PrimaryHash() == x.post.key.PrimaryHash() {
		return 1
	}
	return 0
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
