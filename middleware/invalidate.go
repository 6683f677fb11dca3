package middleware

import (
	"context"
	"errors"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// invalidate removes what the answer to an unsafe request makes invalid (RFC 9111 §4.4, RFC 9875
// §3). watched is what the answer itself may be stored as, or nil. purged counts how often that was
// purged here.
func (q *clientRequest) invalidate(a *reply, watched *post) (purged int) {
	if !rules.IsUnsafe(q.req.Method) {
		return 0
	}
	asked := q.presented(q.req)
	for i, u := range rules.Invalidates(asked, a.status, a.header) {
		t := q.target.at(u)
		if i == 0 && t != q.target {
			// The target is spelt in a way that no URL is. Its spelling as a URL is invalid too.
			purged += q.invalidateTarget(&q.target, asked, watched)
		}
		purged += q.invalidateTarget(&t, asked, watched)
	}
	if groups := rules.InvalidatedGroups(asked, a.status, a.header); len(groups) > 0 {
		err := q.cache.opts.Storage.Purges().PurgeGroups(context.WithoutCancel(q.client), q.target.origin(), groups...)
		if q.cache.purged(purgeByRequest, false, err, q.target.url, groups...) != nil {
			q.cache.storageFailed("purge", err)
		}
	}
	return purged
}

// invalidateTarget removes what a GET for t would find. It returns 1 if that is what watched names.
func (q *clientRequest) invalidateTarget(t *target, asked *http.Request, watched *post) (purged int) {
	key, ok := q.cache.keyOfGet(q.door, t, asked)
	if !ok {
		return 0
	}
	err := q.cache.purged(purgeByRequest, false, q.cache.opts.Purge(context.WithoutCancel(q.client), key), t.url)
	if err != nil && !errors.Is(err, cirque.ErrNotFound) {
		q.cache.storageFailed("purge", err)
	}
	if watched != nil && key.PrimaryHash() == watched.key.PrimaryHash() {
		return 1
	}
	return 0
}

// invalidateUnseen is invalidate for an answer in which the cache takes no part. After a switch of
// protocols the actual answer follows (RFC 9110 §7.8). The cache does not see its status, so it
// assumes a success.
func (q *clientRequest) invalidateUnseen(status int, header http.Header) {
	if status == http.StatusSwitchingProtocols {
		status = http.StatusOK
	}
	q.invalidate(&reply{status: status, header: header}, nil)
}
