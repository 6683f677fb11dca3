package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/stats"
)

// planner finds out where the answer to a request comes from. Its fields keep what it must remember
// between two looks at the Storage, while the request waits for another fill.
type planner struct {
	*transaction
	lookedWithPermit bool // the Storage was looked at again after the write permit was taken
	unshared         bool // those who waited may not share what was found after the wait
	validatesItself  bool // the stale entry cannot be revalidated in the background
}

// plan finds out where the answer comes from (RFC 9111 §4). If it comes from the origin, x.upstream
// says what to ask. The error is that of the client's context, if that ended in the meantime.
func (x *transaction) plan() (source, error) {
	x.now = x.arrived
	if ok, why := x.cacheable(); !ok {
		return x.planUncacheable(why), nil
	}
	if x.filtered() {
		return x.bypass(fwdBypass, "request-filter"), nil
	}
	key, ok := x.cache.key(x.door, &x.target, x.req)
	if !ok || x.target.unkeyable {
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

// planUncacheable plans for a request that the rules exclude from the cache.
func (x *transaction) planUncacheable(why string) source {
	if x.req.Method == http.MethodPost {
		if x.filtered() {
			return x.bypass(fwdBypass, "request-filter")
		}
		if key, ok := x.cache.keyOfGet(x.door, &x.target, x.req); ok && !x.target.unkeyable {
			// RFC 9110 §9.3.3: the answer may be one that can be stored for later GETs.
			x.upstream.as = storePost
			x.upstream.post = &post{key, x.cache.opts.WatchPurges(key)}
			x.status.fwd, x.result = fwdMethod, stats.Bypass // unless it is stored
			return fromOrigin
		}
	}
	if why == "method" {
		return x.bypass(fwdMethod, "")
	}
	return x.bypass(fwdBypass, why)
}

// look looks up what is stored. ok says that the source s is known now: the stored response, or any
// other if the request may not wait. If not ok, the request has to take its turn at the lock.
func (p *planner) look() (s source, ok bool, err error) {
	x := p.transaction
	x.upstream.wantWhole()
	x.staleIfError, x.status.detail = false, ""
	meta, hit, err := x.lookup()
	switch {
	case err == nil:
		if p.reusable(meta, hit) {
			x.hc.ReleaseWriteLock("")
			return fromCache, true, nil
		}
		if x.status.collapsed && p.unshared && !x.directives.OnlyIfCached {
			// RFC 9111 §4, §5.2.2.4: this request may not share the response for which it waited.
			// It goes to the origin now, together with all others that waited. If it waited a
			// second time, it would only get the same response.
			return x.planOrigin(), true, nil
		}
	case errors.Is(err, cirque.ErrNotFound):
		x.status.fwd = x.missReason()
	case x.client.Err() != nil:
		return 0, false, context.Cause(x.client)
	default:
		if x.dry == nil {
			x.cache.storageFailed("lookup", err)
		} else {
			x.dry.failure = err
		}
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

// takeTurn takes the write permit, or waits for the request that has it. ok says that the source s
// is known now. If not ok, the Storage has to be looked at again.
func (p *planner) takeTurn() (s source, ok bool, err error) {
	x := p.transaction
	if !x.wantsLock() {
		return x.planOrigin(), true, nil
	}
	x.hc.TryLock()
	if x.hc.IsWriter() && !p.lookedWithPermit {
		// INVARIANT: one fill per key. Another request may have filled this key, and released the
		// permit, since the first lookup.
		p.lookedWithPermit = true
		x.hc.StartOver()
		return 0, false, nil
	}
	if !x.hc.IsLocked() {
		return x.planOrigin(), true, nil
	}
	if x.dry != nil {
		x.dry.waits = true
		return fromOrigin, true, nil
	}
	began := time.Now()
	status, err := x.hc.WaitLock(x.client)
	x.now = time.Now()
	x.cache.counters.lockWait(status, x.now.Sub(began))
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
		x.precedingFailure = max(x.precedingFailure, fillFailed)
	case cirque.LockUpstreamError:
		x.precedingFailure = originFailed
	}
	return 0, false, nil
}

// wantsLock reports whether the request takes part in the lock: it may wait for the fill of another
// request, and others may wait for its own.
func (x *transaction) wantsLock() bool {
	switch {
	case x.directives.NoStore: // RFC 9111 §5.2.1.5: nobody else may have its answer
		return false
	case x.sent().Method == http.MethodHead:
		return false // its answer has no body
	}
	return x.hc.PredictCacheable()
}

// missReason returns the fwd value for a request for which nothing was found (RFC 9211 §2.2).
func (x *transaction) missReason() string {
	if x.hc.VaryRecord() != nil {
		return fwdVaryMiss
	}
	return fwdURIMiss
}

// lookup finds the entry that the request selects, by way of the vary record if there is one.
func (x *transaction) lookup() (*cirque.CacheMeta, cirque.HitHandler, error) {
	meta, hit, err := x.hc.Lookup(x.client)
	if err != nil {
		return nil, nil, err
	}
	extra := x.varianceHook()
	if meta.Has(cirque.MetaVaryRecord) {
		meta, hit, err = x.hc.VaryLookup(x.client, meta, hit, x.req.Header, extra)
		x.cache.counters.variants(x)
		return meta, hit, err
	}
	if extra != nil && guarded(hit, func() bool { return addsVariance(extra) }) {
		// The entry was stored at a time when no dimension set requests apart.
		_ = hit.Close()
		return nil, nil, cirque.ErrNotFound
	}
	return meta, hit, nil
}

// addsVariance reports whether extra adds any dimension.
func addsVariance(extra func(*cirque.VarianceBuilder)) bool {
	b := new(cirque.VarianceBuilder)
	extra(b)
	_, varies := b.Finalize()
	return varies
}

// guarded calls a hook while nothing else would close hit. If the hook panics, guarded closes hit.
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
