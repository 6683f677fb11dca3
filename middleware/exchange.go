package middleware

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// exchange is one request at a front door, from its key to the decision where its answer comes
// from. The doors differ in how they ask the origin and how they answer; everything between is here
// and in the files that the steps are named after:
//
//	request → key → plan (lookup, reuse, lock) ─┬─▶ answer                      (answer.go)
//	                                            └─▶ ask the origin → admit → answer  (admit.go)
type exchange struct {
	cache    *Cache
	door     door
	origin   origin
	req      *http.Request // the client's, less the fields its connection keeps to itself
	stripped bool          // of fields that may matter to the origin
	said     http.Header   // req's, before Config.Normalize
	target   target        // what the client asked for
	hc       cirque.HttpCache
	rd       rules.RequestDirectives

	arrived time.Time         // when the request came in
	now     time.Time         // the present, as far as decisions go: read once a hit, and anew after every wait
	asked   time.Time         // when the origin was asked
	epoch   cirque.PurgeEpoch // of the Storage, then
	got     *rules.Exchange   // what it answered
	client  context.Context

	status     cacheStatus
	background bool             // no client waits for the answer
	post       *post            // where the request is a POST, whose answer may be stored for later GETs
	part       *partFill        // a stored part that the answer is to complete
	keepRange  bool             // the client's Range goes to the origin
	asIs       bool             // and so do its preconditions
	noStore    bool             // whatever comes is not stored
	validators []cirque.Variant // sent upstream to validate what is stored
	stale      rules.ReuseDecision
	waitedFor  bool // a request that this one waited for failed
	originDown bool // and it was the origin that failed it

	unshared        bool // this request waited, and what was found is not to be shared by those who did
	lookedTwice     bool // the second time with the write permit
	validatesItself bool // what could be served while it is revalidated, as nobody does that in the background
	retried         bool
	own             http.Header // the origin's answer to this very request, where that is being stored or freshened

	flight *flight
}

// post is what a POST's answer may be stored as.
type post struct {
	key    cirque.CacheKey
	purges func() int // of the key, since the POST came in
}

// origin is how a door reaches what is behind it, for work without a client.
type origin interface {
	// revalidate asks the origin on behalf of x, which has no client, and sees the fill through to
	// its end.
	revalidate(x *exchange)
}

// route says where an answer is to come from.
type route uint8

const (
	routeServe       route = iota + 1 // from what was found
	routeForward                      // from the origin; it may be stored
	routePass                         // from the origin, without the cache
	routeUnavailable                  // from nowhere: 504 (RFC 9111 §5.2.1.7)
)

// begin prepares the walk of r through d.
func (x *exchange) begin(c *Cache, d door, o origin, r *http.Request) {
	x.cache, x.door, x.origin, x.req, x.client = c, d, o, r, r.Context()
	if r.Header["Connection"] != nil {
		// RFC 9110 §7.6.1: dropped before anything is keyed or forwarded, so that no field that
		// the key depends on goes missing in between.
		clean := *r
		clean.Header = r.Header.Clone()
		x.stripped = rules.RemoveConnectionFields(clean.Header)
		x.req = &clean
	}
	x.said = x.req.Header
	x.req = c.normalized(x.req)
	x.target = c.target(d, x.req)
}

// presented returns a request of x as its client sent it, which is how the rules have to see it.
func (x *exchange) presented(r *http.Request) *http.Request { return x.target.present(r) }

// ruled is presented of the client's request, where that matters to whether it can be answered from
// a cache at all: a client's request tells by its Body that it brings content, a server's by its
// length.
func (x *exchange) ruled() *http.Request {
	if x.target.outbound && x.req.Body != nil && x.req.Body != http.NoBody {
		return x.presented(x.req)
	}
	return x.req
}

// moved returns x as one that lives on after the caller of a door has returned; x itself holds
// nothing any more. Until then an exchange is on its caller's stack: a hit, which is over soon,
// costs neither the heap nor the garbage collector's attention.
func (x *exchange) moved() *exchange {
	y := new(exchange)
	*y = *x
	*x = exchange{}
	return y
}

// plan finds out where the answer comes from. The error is the client's context's, when it ended
// meanwhile.
func (x *exchange) plan() (route, error) {
	c := x.cache
	x.arrived = time.Now()
	x.now = x.arrived
	if ok, why := c.policy.RequestCacheable(x.ruled()); !ok {
		return x.planUncacheable(why), nil
	}
	if x.filtered() {
		return x.pass(fwdBypass, "request-filter"), nil
	}
	key, ok := c.key(x.door, &x.target, x.req)
	if !ok || x.target.claims {
		return x.pass(fwdBypass, "key"), nil
	}
	x.rd = c.policy.RequestDirectives(x.req.Header)
	x.enable(key)
	for {
		x.part, x.stale, x.status.detail = nil, rules.ReuseDecision{}, ""
		meta, hit, err := x.lookup()
		switch {
		case err == nil:
			if x.reusable(meta, hit) {
				x.hc.ReleaseWriteLock("")
				return routeServe, nil
			}
			if x.status.collapsed && x.unshared && !x.rd.OnlyIfCached {
				// RFC 9111 §4, §5.2.2.4: what it waited for is not for this request, which goes to
				// the origin now, beside all others that waited. A place in the queue would bring
				// it the same once more.
				return x.forward(), nil
			}
		case errors.Is(err, cirque.ErrNotFound):
			x.status.fwd = x.missReason()
		default:
			if x.client.Err() != nil {
				return 0, context.Cause(x.client)
			}
			c.storageFailed("lookup", err)
			x.hc.Disable(cirque.StorageError)
			return x.pass(fwdBypass, "storage-error"), nil
		}
		if x.rd.OnlyIfCached {
			// RFC 9111 §5.2.1.7.
			x.hc.Disable(cirque.DeclinedToUpstream)
			return routeUnavailable, nil
		}
		if x.nested() {
			x.hc.Disable(cirque.Deferred)
			return x.pass(x.status.fwd, "nested"), nil
		}
		if !x.wantsLock() {
			return x.forward(), nil
		}
		x.hc.TryLock()
		if x.hc.IsWriter() && !x.lookedTwice {
			// INVARIANT: one fill per key. Another may have filled this one, and left, since it was
			// looked up.
			x.lookedTwice = true
			x.hc.StartOver()
			continue
		}
		if !x.hc.IsLocked() {
			return x.forward(), nil
		}
		status, err := x.hc.WaitLock(x.client)
		x.now = time.Now()
		if err != nil {
			return 0, context.Cause(x.client)
		}
		switch status {
		case cirque.LockGiveUp:
			x.hc.Disable(cirque.CacheLockGiveUp)
			return x.pass(x.status.fwd, "lock-give-up"), nil
		case cirque.LockWaitTimeout:
			x.hc.Disable(cirque.CacheLockTimeout)
			return x.pass(x.status.fwd, "lock-timeout"), nil
		case cirque.LockDone:
			x.status.collapsed = true
		case cirque.LockTransientError:
			x.waitedFor = true
		case cirque.LockUpstreamError:
			x.waitedFor, x.originDown = true, true
		}
	}
}

// filtered reports whether Config.RequestFilter keeps the request out of the cache.
func (x *exchange) filtered() bool {
	filter := x.cache.cfg.RequestFilter
	return filter != nil && !filter(x.req)
}

// enable begins the walk at key.
func (x *exchange) enable(key cirque.CacheKey) {
	x.hc.Enable(x.cache.opts)
	x.hc.SetTrace(cirque.ContextCacheTrace(x.client))
	if !x.cache.cfg.Private && x.req.Header["Authorization"] != nil {
		// Whether the response may be stored can depend on Authorization (RFC 9111 §3.5): those who
		// send it neither wait with the others nor leave word for them.
		x.hc.SetLockClass("authorization")
	}
	x.hc.SetKey(key)
}

// planUncacheable routes what the rules keep out of the cache.
func (x *exchange) planUncacheable(why string) route {
	if x.req.Method == http.MethodPost {
		if x.filtered() {
			return x.pass(fwdBypass, "request-filter")
		}
		if key, ok := x.cache.keyOfGet(x.door, &x.target, x.req); ok && !x.target.claims {
			// RFC 9110 §9.3.3: the answer may say that it serves later GETs.
			x.post = &post{key, x.cache.opts.WatchPurges(key)}
			x.status.fwd = fwdMethod
			return routeForward
		}
	}
	if why == "method" {
		return x.pass(fwdMethod, "")
	}
	return x.pass(fwdBypass, why)
}

// pass routes the request around the cache.
func (x *exchange) pass(fwd, detail string) route {
	x.status.fwd, x.status.detail = fwd, detail
	x.validators, x.part = nil, nil
	x.keepRange, x.asIs, x.noStore = true, true, true
	return routePass
}

// mayForward reports whether the origin is to be asked on behalf of the cache. One that is closing
// passes the request by instead.
func (x *exchange) mayForward(to route) bool {
	if to != routeForward {
		return false
	}
	if x.cache.underWay.closed() {
		x.passOn(cirque.Deferred)
		x.pass(x.status.fwd, "closing")
		return false
	}
	return true
}

// lookup finds the entry that the request selects, through the vary record if there is one.
func (x *exchange) lookup() (*cirque.CacheMeta, cirque.HitHandler, error) {
	meta, hit, err := x.hc.Lookup(x.client)
	if err != nil {
		return nil, nil, err
	}
	if !meta.Has(cirque.MetaVaryRecord) {
		if extra := x.varianceHook(); extra != nil && guarded(hit, func() bool { return addsVariance(extra) }) {
			// Stored before anything told requests apart.
			_ = hit.Close()
			return nil, nil, cirque.ErrNotFound
		}
		return meta, hit, nil
	}
	meta, hit, err = x.hc.VaryLookup(x.client, meta, hit, x.req.Header, x.varianceHook())
	return meta, hit, err
}

// ask notes that the origin is asked now: which of two answers is the more recent one, and which
// purges it comes after, goes by that.
func (x *exchange) ask() { x.asked, x.epoch = time.Now(), x.cache.opts.PurgeEpoch() }

// varianceHook returns what adds the request's dimensions beyond what Vary names; nil where there
// can be none. It keeps no pointer into x, which would move x to the heap.
func (x *exchange) varianceHook() func(*cirque.VarianceBuilder) {
	variance, req := x.cache.cfg.Variance, x.req
	switch {
	case x.target.hasDimensions():
		t := x.target
		return func(b *cirque.VarianceBuilder) {
			t.addDimensions(b, req)
			if variance != nil {
				variance(req, b)
			}
		}
	case variance == nil:
		return nil
	}
	return func(b *cirque.VarianceBuilder) { variance(req, b) }
}

// guarded calls a hook while hit is nobody's: a panic closes it.
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

func addsVariance(extra func(*cirque.VarianceBuilder)) bool {
	b := cirque.NewVarianceBuilder()
	extra(b)
	return b.HasVariance()
}

// missReason is the fwd of a request for which nothing was found (RFC 9211 §2.2).
func (x *exchange) missReason() string {
	if x.hc.VaryRecord() != nil {
		return fwdVaryMiss
	}
	return fwdURIMiss
}

// errWriterFailed stands for the error that another request met when it asked the origin for this
// one.
var errWriterFailed = errors.New("middleware: the origin failed the request that this one waited for")

// reusable decides whether what was found answers the request without asking the origin (RFC 9111
// §4), and takes it if so. Otherwise the walk stands at Stale, with the entry at hand to be
// validated, or at CacheKey, with nothing.
func (x *exchange) reusable(meta *cirque.CacheMeta, hit cirque.HitHandler) bool {
	var forced cirque.ForcedFreshness
	if x.cache.cfg.HitFilter != nil {
		forced = guarded(hit, func() cirque.ForcedFreshness { return x.cache.cfg.HitFilter(x.req, meta) })
	}
	if x.status.collapsed {
		x.unshared = forced != 0 || !rules.Shareable(meta, x.now)
		if !x.unshared && !meta.Updated().Before(x.arrived) {
			// The origin answered, or validated, after this request had come in: that is as good as
			// having asked it, though the wait may have outlasted the freshness (RFC 9111 §4:
			// collapsed requests).
			forced = cirque.ForceFresh
		}
	}
	d := x.cache.policy.Reuse(meta, &x.rd, x.now, forced)
	if meta.Has(cirque.MetaPartial) && !x.foundPart(meta, hit, d) {
		return false
	}
	switch d.Reuse {
	case rules.ReuseFresh:
		x.hc.Found(meta, hit, forced.HitStatus(true))
		x.status.setTTL(meta, x.now)
		x.status.hit = !x.status.collapsed
		if x.status.hit {
			x.status.fwd = ""
		}
		return true
	case rules.ReuseStale:
		x.hc.Found(meta, hit, cirque.HitExpired)
		x.hc.StaleUpdating()
		x.servesStale(meta, d.Detail)
		return true
	case rules.ReuseWhileRevalidate:
		if x.servesWhileRevalidated(meta, hit, d.Detail) {
			return true
		}
		d.Detail = "" // it is validated as any stale one; the entry was found
		return x.validates(d, meta)
	}
	x.hc.Found(meta, hit, forced.HitStatus(false))
	return x.validates(d, meta)
}

// validates notes that what was found is to be validated. It reports true if that failed already,
// and it is served all the same.
func (x *exchange) validates(d rules.ReuseDecision, meta *cirque.CacheMeta) bool {
	x.status.fwd = d.Fwd
	x.status.detail = d.Detail
	x.stale = d
	if x.originDown && d.StaleIfError && x.mayServeStale(meta, 0, errWriterFailed) {
		x.servesStale(meta, "stale-if-error")
		return true
	}
	return false
}

// servesWhileRevalidated takes a stale entry as the answer, if it is revalidated meanwhile: in the
// background by the request that gets the write permit, or by another that has it (RFC 5861 §3).
// Where it cannot be revalidated in the background the walk stands at Stale, and the client waits.
func (x *exchange) servesWhileRevalidated(meta *cirque.CacheMeta, hit cirque.HitHandler, detail string) bool {
	x.hc.Found(meta, hit, cirque.HitExpired)
	if x.validatesItself || IsRefresh(x.client) || x.nested() {
		return false // the latter two are no clients who wait, and what they bring is to be new
	}
	x.hc.TryLock()
	if x.hc.IsWriter() {
		chain, ok := x.revalidatedBy()
		switch {
		case ok:
			x.hc.StaleUpdating()
			x.revalidateInBackground(meta, chain)
			x.servesStale(meta, detail)
			return true
		case !x.acceptsStale(meta):
			x.validatesItself = true
			if !x.wantsLock() {
				x.hc.ReleaseWriteLock("")
			}
			return false
		}
		x.hc.ReleaseWriteLock("")
		detail = "request-max-stale"
	}
	x.hc.StaleUpdating()
	x.servesStale(meta, detail)
	return true
}

// revalidatedBy returns the handler that a revalidation in the background goes through; nil at the
// Transport door. It reports false where there can be none.
func (x *exchange) revalidatedBy() (chain http.Handler, ok bool) {
	if x.door == doorTransport {
		return nil, true
	}
	if x.cache.unreached.remove(x.hc.Key()) {
		return nil, false
	}
	chain = x.cache.surroundings(x.req)
	return chain, chain != nil
}

// acceptsStale reports whether the client itself rather gets what is stale than waits (RFC 9111
// §5.2.1.2 and §5.2.1.7).
func (x *exchange) acceptsStale(meta *cirque.CacheMeta) bool {
	return x.rd.OnlyIfCached || x.rd.MaxStaleAny || x.rd.MaxStale.Present && meta.Staleness(x.now) <= x.rd.MaxStale.Duration
}

// servesStale notes that a stale response is the answer.
func (x *exchange) servesStale(meta *cirque.CacheMeta, detail string) {
	x.status.setTTL(meta, x.now)
	x.status.hit, x.status.fwd, x.status.detail = true, "", detail
}

// wantsLock reports whether the request may have to wait for another's fill, or make others wait
// for its own.
func (x *exchange) wantsLock() bool {
	switch {
	case x.rd.NoStore: // RFC 9111 §5.2.1.5: its answer is nobody else's
		return false
	case x.sent().Method == http.MethodHead:
		return false // brings no body
	}
	return x.hc.PredictCacheable()
}
