package middleware

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// transaction is the handling of one client request, from its door to its answer. The request
// passes through these rooms, each of which is one file or a few:
//
//	door ──▶ request ──▶ plan ─┬─────────────────────────────────────▶ answer
//	                           └─▶ upstream ──▶ fetch ──▶ decide ──▶ store ──▶ answer
//
// The two doors differ in three rooms: the first one, fetch, and the last one. All others are the
// same for both. docs/design.md says which question each room answers.
type transaction struct {
	clientRequest
	revalidator revalidator
	directives  rules.RequestDirectives
	hc          cirque.HttpCache // the walk

	meter           // what the client gets
	now   time.Time // the time that decisions use: read once on a hit, and again after each wait

	staleIfError     bool     // the stale entry may be served in place of an error of the origin
	precedingFailure failure  // how the fill failed for which the request waited
	upstream         upstream // what to ask the origin, if it is asked
	flight           *flight  // the fetch, once it began

	replyHeader http.Header // of the reply to this request, if that is stored or freshens an entry
	status      cacheStatus

	dry *dryRun // what the plan comes by, if the request is only explained; else nil
}

// revalidator is a door, as a background revalidation uses it: there is no client.
type revalidator interface {
	// revalidate asks the origin on behalf of x, and returns when the fill, if there is one, has
	// ended.
	revalidate(x *transaction)
}

// source says where an answer comes from.
type source uint8

const (
	fromCache   source = iota + 1 // from the stored response that was found
	fromOrigin                    // from the origin; it may be stored
	pastCache                     // from the origin, for this client alone
	fromNowhere                   // 504, for only-if-cached if nothing is stored (RFC 9111 §5.2.1.7)
)

// failure says how the fill of another request failed, for which this one waited.
type failure uint8

const (
	noFailure    failure = iota
	fillFailed           // for a reason that may not occur again
	originFailed         // because the origin failed
)

// heap moves x to the heap and returns it. x itself is empty then.
//
// A transaction begins on the stack of the door's caller: a hit ends before the door returns, so it
// costs neither the heap nor the garbage collector anything. A fetch can outlive the door.
func (x *transaction) heap() *transaction {
	y := new(transaction)
	*y = *x
	*x = transaction{}
	return y
}

// enable begins the walk with key.
func (x *transaction) enable(key cirque.CacheKey) {
	if x.dry != nil {
		x.hc.Enable(x.dry.options)
	} else {
		x.hc.Enable(x.cache.opts)
		x.hc.SetTrace(x.cache.traceOf(x.client))
	}
	if !x.cache.cfg.Private && x.req.Header["Authorization"] != nil {
		// Authorization can decide whether the response may be stored (RFC 9111 §3.5). So requests
		// with that field have a lock and a prediction of their own.
		x.hc.SetLockClass("authorization")
	}
	x.hc.SetKey(key)
}

// bypass plans the request past the cache.
func (x *transaction) bypass(fwd, detail string) source {
	x.result = stats.Pass
	if fwd == fwdBypass || fwd == fwdMethod {
		x.result = stats.Bypass
	}
	x.status.fwd, x.status.detail = fwd, detail
	x.upstream.wantAsClient()
	return pastCache
}

// uncached ends the walk: the origin's answer is for this client alone.
func (x *transaction) uncached(reason cirque.NoCacheReason) {
	if x.hc.Phase() != cirque.PhaseDisabled {
		x.hc.Disable(reason)
	}
}

// servesStale notes that the stale response meta is the answer, and why.
func (x *transaction) servesStale(meta *cirque.CacheMeta, detail string) {
	x.result = stats.Stale
	x.status.setStale(meta, x.now, detail)
}

// pass does the same as uncached, after the origin has answered.
func (x *transaction) pass(reason cirque.NoCacheReason) fate {
	x.uncached(reason)
	return fatePass
}

// bypassClosing plans the request past a cache that is being closed.
func (x *transaction) bypassClosing() {
	x.uncached(cirque.Deferred)
	x.bypass(x.status.fwd, "closing")
}

// mayStore reports whether the answer from s may be stored, before the rules decide. When the cache
// is closing, nothing is stored, and mayStore plans the request past the cache.
func (x *transaction) mayStore(s source) bool {
	if s != fromOrigin {
		return false
	}
	if x.cache.underWay.closed() {
		x.bypassClosing()
		return false
	}
	return true
}

// end releases what the walk holds, and counts the request.
func (x *transaction) end() {
	x.hc.Release()
	if x.cache != nil { // else it was moved to the heap
		x.count(x.cache)
	}
}

// startFlight begins a fetch on behalf of x. If the cache is closing, the fetch belongs to the
// client from beginning to end.
func (x *transaction) startFlight() *flight {
	number := x.cache.underWay.enter()
	f := x.cache.newFlight(x.client, !x.background, number)
	x.flight = f
	switch {
	case x.background: // the revalidation is already counted as under way
		f.setOwner(ownedClaimed)
	case number == 0:
		x.bypassClosing()
		f.pass()
	case x.hc.IsWriter():
		f.setOwner(ownedByCache)
	default:
		f.setOwner(ownedByClient)
	}
	return f
}
