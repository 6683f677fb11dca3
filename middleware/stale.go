package middleware

import (
	"errors"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// errPrecededByFailure is what Config.ServeStale is given when the origin failed another request,
// for which this one waited.
var errPrecededByFailure = errors.New("middleware: the origin failed the request for which this one waited")

// mayServeStale asks Config.ServeStale whether meta may be served in place of an error.
func (x *transaction) mayServeStale(meta *cirque.CacheMeta, status int, err error) bool {
	return x.cache.cfg.ServeStale == nil || x.cache.cfg.ServeStale(x.req, meta, status, err)
}

// standInFor makes the stale entry the answer in place of an error, if that is allowed (RFC 5861
// §4), and reports whether it did. The error is a status of the origin, or err.
func (x *transaction) standInFor(status int, err error) bool {
	if err == nil && !rules.StaleMayStandInFor(status) {
		return false
	}
	if x.hc.Phase() != cirque.PhaseStale || !x.staleIfError || !x.mayServeStale(x.hc.Meta(), status, err) {
		return false
	}
	// Those who wait would get the same error from the origin. They find the same stale entry, and
	// need not ask.
	x.hc.ReleaseWriteLock(cirque.UpstreamError)
	x.status.setTTL(x.hc.Meta(), x.now)
	x.status.detail = "stale-if-error"
	x.result = stats.Stale
	return true
}

// endFailedFetch ends a fetch that brought no header: the origin could not be asked, or the
// connection broke. It reports whether a stale entry is the answer. If not, the walk has ended.
func (x *transaction) endFailedFetch(err error) bool {
	x.now = time.Now()
	x.cache.counters.fetchFailed(x)
	if len(x.upstream.validators) > 0 {
		x.validated(0, err)
	}
	if x.upstream.as != storeNothing && x.standInFor(0, err) {
		return true
	}
	x.uncached(x.failureReason(cirque.UpstreamError))
	return false
}

// failureReason returns the reason to report when the origin or the Storage failed the request.
// After a first failure, one of those who wait gets the permit. After a second failure in a row,
// the reason releases all of them: each further attempt could take as long. For a failure after the
// fill has begun, FillOptions.LastTurn does the same.
func (x *transaction) failureReason(reason cirque.NoCacheReason) cirque.NoCacheReason {
	if x.precedingFailure != noFailure {
		return cirque.OriginNotCache
	}
	return reason
}
