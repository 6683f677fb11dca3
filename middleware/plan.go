package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
)

// planner finds out where the answer to a request comes from. Its fields are what it has to remember
// from one look at the Storage to the next, between which the request waits for another's fill.
type planner struct {
	*transaction
	lookedTwice     bool // the second time with the write permit
	unshared        bool // what was found after the wait is not for those who waited
	validatesItself bool // nobody revalidates the stale entry in the background
}

// plan finds out where the answer comes from (RFC 9111 §4). If that is the origin, x.upstream says
// what to ask. The error is that of the client's context, if it ended meanwhile.
func (x *transaction) plan() (source, error) {
	x.arrived = time.Now()
	x.now = x.arrived
	if ok, why := x.cacheable(); !ok {
		return x.planUncacheable(why), nil
	}
	if x.filtered() {
		return x.bypass(fwdBypass, "request-filter"), nil
	}
	key, ok := x.cache.key(x.door, &x.target, x.req)
	if !ok || x.target.claims {
		return x.bypass(fwdBypass, "key"), nil
	}
	x.directives = x.cache.policy.RequestDirectives(x.req.Header)
	x.enable(key)
	p := planner{transaction: x}
	for {
		if s, ok, err := p.look(); ok || err != nil {
			return s, err
		}
		if s, ok, err := p.takeTurn(); ok || err != nil {
			return s, err
		}
	}
}

// planUncacheable plans for a request that the rules keep out of the cache.
func (x *transaction) planUncacheable(why string) source {
	if x.req.Method == http.MethodPost {
		if x.filtered() {
			return x.bypass(fwdBypass, "request-filter")
		}
		if key, ok := x.cache.keyOfGet(x.door, &x.target, x.req); ok && !x.target.claims {
			// RFC 9110 §9.3.3: the answer may say that it serves later GETs.
			x.upstream.as = storePost
			x.upstream.post = &post{key, x.cache.opts.WatchPurges(key)}
			x.status.fwd = fwdMethod
			return fromOrigin
		}
	}
	if why == "method" {
		return x.bypass(fwdMethod, "")
	}
	return x.bypass(fwdBypass, why)
}

// look looks at what is stored. It reports false where nothing answers the request, and the request
// may have to wait for its turn to ask the origin.
func (p *planner) look() (s source, ok bool, err error) {
	x := p.transaction
	x.upstream.whole()
	x.staleIfError, x.status.detail = false, ""
	meta, hit, err := x.lookup()
	switch {
	case err == nil:
		if p.reusable(meta, hit) {
			x.hc.ReleaseWriteLock("")
			return fromCache, true, nil
		}
		if x.status.collapsed && p.unshared && !x.directives.OnlyIfCached {
			// RFC 9111 §4, §5.2.2.4: what the request waited for is not for it. It goes to the
			// origin now, together with all others that waited: a second place in the queue would
			// bring it the same once more.
			return x.askOrigin(), true, nil
		}
	case errors.Is(err, cirque.ErrNotFound):
		x.status.fwd = x.missReason()
	case x.client.Err() != nil:
		return 0, false, context.Cause(x.client)
	default:
		x.cache.storageFailed("lookup", err)
		x.hc.Disable(cirque.StorageError)
		return x.bypass(fwdBypass, "storage-error"), true, nil
	}
	switch {
	case x.directives.OnlyIfCached:
		// RFC 9111 §5.2.1.7.
		x.hc.Disable(cirque.DeclinedToUpstream)
		return fromNowhere, true, nil
	case x.nested(x.hc.Key().PrimaryHash()):
		x.hc.Disable(cirque.Deferred)
		return x.bypass(x.status.fwd, "nested"), true, nil
	}
	return 0, false, nil
}

// takeTurn takes the write permit, or waits for another request that has it. It reports false where
// the Storage is to be looked at once more.
func (p *planner) takeTurn() (s source, ok bool, err error) {
	x := p.transaction
	if !x.wantsLock() {
		return x.askOrigin(), true, nil
	}
	x.hc.TryLock()
	if x.hc.IsWriter() && !p.lookedTwice {
		// INVARIANT: one fill per key. Since the lookup another request may have filled this key,
		// and left.
		p.lookedTwice = true
		x.hc.StartOver()
		return 0, false, nil
	}
	if !x.hc.IsLocked() {
		return x.askOrigin(), true, nil
	}
	status, err := x.hc.WaitLock(x.client)
	x.now = time.Now()
	if err != nil {
		return 0, false, context.Cause(x.client)
	}
	switch status {
	case cirque.LockGiveUp:
		x.hc.Disable(cirque.CacheLockGiveUp)
		return x.bypass(x.status.fwd, "lock-give-up"), true, nil
	case cirque.LockWaitTimeout:
		x.hc.Disable(cirque.CacheLockTimeout)
		return x.bypass(x.status.fwd, "lock-timeout"), true, nil
	case cirque.LockDone:
		x.status.collapsed = true
	case cirque.LockTransientError:
		x.preceded = max(x.preceded, fillFailed)
	case cirque.LockUpstreamError:
		x.preceded = originFailed
	}
	return 0, false, nil
}

// wantsLock reports whether the request may have to wait for another's fill, or make others wait
// for its own.
func (x *transaction) wantsLock() bool {
	switch {
	case x.directives.NoStore: // RFC 9111 §5.2.1.5: its answer is nobody else's
		return false
	case x.sent().Method == http.MethodHead:
		return false // its answer has no body
	}
	return x.hc.PredictCacheable()
}

// missReason is the fwd of a request for which nothing was found (RFC 9211 §2.2).
func (x *transaction) missReason() string {
	if x.hc.VaryRecord() != nil {
		return fwdVaryMiss
	}
	return fwdURIMiss
}

// lookup finds the entry that the request selects, through the vary record if there is one.
func (x *transaction) lookup() (*cirque.CacheMeta, cirque.HitHandler, error) {
	meta, hit, err := x.hc.Lookup(x.client)
	if err != nil {
		return nil, nil, err
	}
	extra := x.varianceHook()
	if meta.Has(cirque.MetaVaryRecord) {
		return x.hc.VaryLookup(x.client, meta, hit, x.req.Header, extra)
	}
	if extra != nil && guarded(hit, func() bool { return addsVariance(extra) }) {
		// The entry was stored before anything told requests apart.
		_ = hit.Close()
		return nil, nil, cirque.ErrNotFound
	}
	return meta, hit, nil
}

func addsVariance(extra func(*cirque.VarianceBuilder)) bool {
	b := cirque.NewVarianceBuilder()
	extra(b)
	return b.HasVariance()
}

// guarded calls a hook while nobody owns hit: if the hook panics, hit is closed.
func guarded[Result any](hit cirque.HitHandler, hook func() Result) Result {
	returned := false
	defer func() {
		if !returned {
			_ = hit.Close()
		}
	}()
	result := hook()
	returned = true
	return result
}
