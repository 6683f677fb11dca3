package middleware

import (
	"errors"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// errPrecededByFailure stands for the error that another request met when it asked the origin for
// this one.
var errPrecededByFailure = errors.New("middleware: the origin failed the request that this one waited for")

// mayServeStale asks Config.ServeStale whether meta may stand in for an error.
func (x *transaction) mayServeStale(meta *cirque.CacheMeta, status int, err error) bool {
	return x.cache.cfg.ServeStale == nil || x.cache.cfg.ServeStale(x.req, meta, status, err)
}

// standsIn serves the stale entry at hand in place of an error, a status or err, if it may (RFC 5861
// §4), and reports whether it does.
func (x *transaction) standsIn(status int, err error) bool {
	if err == nil && !rules.StaleMayStandInFor(status) {
		return false
	}
	if x.hc.Phase() != cirque.PhaseStale || !x.staleIfError || !x.mayServeStale(x.hc.Meta(), status, err) {
		return false
	}
	// Those who wait would meet the same origin. They find the same entry, and need not ask again.
	x.hc.ReleaseWriteLock(cirque.UpstreamError)
	x.status.setTTL(x.hc.Meta(), x.now)
	x.status.detail = "stale-if-error"
	return true
}

// failed ends a fetch that brought no header: the origin could not be asked, or broke off. It
// reports whether a stale entry stands in; otherwise the walk is over.
func (x *transaction) failed(err error) bool {
	x.now = time.Now()
	if x.upstream.as != storeNothing && x.standsIn(0, err) {
		return true
	}
	x.uncached(x.failure(cirque.UpstreamError))
	return false
}

// failure returns the reason to report where the origin or the Storage failed the request. The first
// failure gives the turn to one of those who wait. If that one fails too, the reason lets all others
// go, because each of their turns could take as long.
func (x *transaction) failure(reason cirque.NoCacheReason) cirque.NoCacheReason {
	if x.preceded != noFailure {
		return cirque.OriginNotCache
	}
	return reason
}
