package middleware

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// transaction is the handling of one client request, from its door to its answer. It falls through
// the rooms of this package, each of which is a file or a few:
//
//	door ──▶ request ──▶ plan ─┬─────────────────────────────────────▶ answer
//	                           └─▶ upstream ──▶ fetch ──▶ decide ──▶ store ──▶ answer
//
// The doors differ in how they ask the origin and in how they send the answer. All between these is
// the same for both.
type transaction struct {
	clientRequest
	origin     origin
	directives rules.RequestDirectives
	hc         cirque.HttpCache // the walk

	arrived time.Time // when the request came in
	now     time.Time // what decisions go by: read once on a hit, and again after each wait

	staleIfError bool     // the stale entry at hand may stand in for an error of the origin
	preceded     failure  // how a fill ended that the request waited for
	upstream     upstream // what the origin is asked, if it is asked
	flight       *flight  // the fetch, once it began

	own    http.Header // the origin's answer to this very request, if that is stored or freshens what is
	status cacheStatus
}

// origin is how a door reaches what is behind it, for a request without a client.
type origin interface {
	// revalidate asks the origin on behalf of x, and sees the fill through to its end.
	revalidate(x *transaction)
}

// source says where an answer comes from.
type source uint8

const (
	fromCache   source = iota + 1 // from what was found
	fromOrigin                    // from the origin; it may be stored
	pastCache                     // from the origin, for this client alone
	fromNowhere                   // 504: the request wants nothing but a stored response (RFC 9111 §5.2.1.7)
)

// failure says how a fill ended that a request waited for.
type failure uint8

const (
	noFailure    failure = iota
	fillFailed           // for a reason that may not come again
	originFailed         // because the origin failed
)

// heap returns x as one that lives on after the caller of a door has returned. Until then a
// transaction is on its caller's stack: a hit, which is over soon, costs neither the heap nor the
// garbage collector's attention. x holds nothing any more.
func (x *transaction) heap() *transaction {
	y := new(transaction)
	*y = *x
	*x = transaction{}
	return y
}

// enable begins the walk at key.
func (x *transaction) enable(key cirque.CacheKey) {
	x.hc.Enable(x.cache.opts)
	x.hc.SetTrace(cirque.ContextCacheTrace(x.client))
	if !x.cache.cfg.Private && x.req.Header["Authorization"] != nil {
		// Whether the response may be stored can depend on Authorization (RFC 9111 §3.5). So
		// requests with that field wait, and predict, among themselves.
		x.hc.SetLockClass("authorization")
	}
	x.hc.SetKey(key)
}

// bypass leads the request around the cache.
func (x *transaction) bypass(fwd, detail string) source {
	x.status.fwd, x.status.detail = fwd, detail
	x.upstream.bypass()
	return pastCache
}

// uncached ends the walk: the origin's answer is for this client alone.
func (x *transaction) uncached(reason cirque.NoCacheReason) {
	if x.hc.Enabled() {
		x.hc.Disable(reason)
	}
}

// pass ends the walk likewise, where the origin has answered.
func (x *transaction) pass(reason cirque.NoCacheReason) fate {
	x.uncached(reason)
	return fatePass
}

// closing leads the request around a cache that is being closed.
func (x *transaction) closing() {
	x.uncached(cirque.Deferred)
	x.bypass(x.status.fwd, "closing")
}

// mayStore reports whether the answer from s may be stored, as far as the cache goes: a cache that is
// closing leads the request around itself.
func (x *transaction) mayStore(s source) bool {
	if s != fromOrigin {
		return false
	}
	if x.cache.underWay.closed() {
		x.closing()
		return false
	}
	return true
}

// startFlight begins a fetch on behalf of x. One that begins while the cache is closing is the
// client's to its end.
func (x *transaction) startFlight() *flight {
	number := x.cache.underWay.enter()
	f := x.cache.newFlight(x.client, !x.background, number)
	x.flight = f
	switch {
	case x.background: // which is under way itself
		f.own(ownedClaimed)
	case number == 0:
		x.closing()
		f.adopt()
	case x.hc.IsWriter():
		f.own(ownedByCache)
	default:
		f.own(ownedByClient)
	}
	return f
}
