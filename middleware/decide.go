package middleware

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// fate is what becomes of an answer of the origin.
type fate uint8

const (
	undecided   fate = iota
	fatePass         // it goes to the client as it is, and nowhere else
	fateFill         // its body goes into the flight's fill, and the client reads it from there
	fateDiscard      // its body goes nowhere: a stored response is the answer
	fateRetry        // its body goes nowhere: the origin is asked again
)

// decision is the decision about one answer of the origin.
type decision struct {
	fate   fate
	length int64 // of the answer's body: a part says it in more than one way; negative where unknown
}

// decide decides about an answer of the origin. Whatever its fate but fateRetry, the walk then holds
// no lock that outlives the flight.
func (x *transaction) decide(a *reply) decision {
	x.now = time.Now()
	purged := x.invalidate(a, x.upstream.post)
	if x.upstream.as == storeNothing {
		return decision{fatePass, a.length}
	}
	if x.upstream.as == storePost {
		// The walk begins here: what this very answer made invalid is not held against storing it.
		x.hc.Reset()
		x.enable(x.upstream.post.key)
		x.hc.Bypass()
		if x.upstream.post.timesPurged() > purged {
			x.status.detail = "purged"
			return decision{x.pass(cirque.Deferred), a.length}
		}
	}
	x.hc.SetPurgeEpoch(x.upstream.epoch)
	x.status.fwdStatus = a.status
	e := x.exchange(a)
	switch {
	case x.upstream.as == storePart:
		return x.decidePart(a, e)
	case a.status == http.StatusNotModified && len(x.upstream.validators) > 0:
		return decision{x.decideNotModified(e), a.length}
	case x.hc.Phase() == cirque.PhaseStale && x.standsIn(a.status, nil):
		return decision{fateDiscard, a.length}
	case x.sent().Method == http.MethodHead:
		return decision{x.decideHead(a, e), a.length}
	}
	return x.decideFull(a, e)
}

// exchange returns the client's request with the origin's answer, for the rules.
func (x *transaction) exchange(a *reply) *rules.Exchange {
	e := &rules.Exchange{
		Request: x.presented(x.sent()), Status: a.status, Header: a.header,
		RequestTime: x.upstream.asked, ResponseTime: x.now, Decoded: a.decoded, Stripped: x.stripped, Changed: a.changed,
	}
	if x.cache.keyedByCredentials() {
		e.Keyed = credentialFields[:]
	}
	return e
}
