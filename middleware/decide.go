package middleware

import (
	"net/http"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
	"github.com/cirquecache/cirque/stats"
)

// fate is what becomes of a reply of the origin.
type fate uint8

const (
	undecided   fate = iota
	fatePass         // it goes to this client alone, unchanged
	fateFill         // its body goes into the flight's fill; the client reads it from there
	fateDiscard      // its body is dropped: a stored response is the answer
	fateRetry        // its body is dropped: the origin is asked again
)

// decision is what decide returns about one reply of the origin.
type decision struct {
	fate   fate
	length int64 // of the reply's body; negative if unknown. A part can give it in Content-Range alone
}

// decide decides the fate of a reply, and carries out what can be done at once: it invalidates,
// removes or freshens what is stored, and begins the fill. Unless the fate is fateRetry, the write
// permit is then released, or belongs to the fill.
func (x *transaction) decide(a *reply) decision {
	x.now = time.Now()
	x.upstream.repliedAt = x.now
	validates := len(x.upstream.validators) > 0
	if validates {
		x.validated(a.status, nil)
	}
	d := x.decideFate(a)
	x.upstream.decided = true
	if d.fate == fatePass && x.result != stats.Bypass {
		x.result = stats.Pass
	}
	x.cache.counters.decided(x, a.status, d.fate, validates)
	if d.fate == fatePass {
		x.noteRefusal(a.status)
	}
	return d
}

func (x *transaction) decideFate(a *reply) decision {
	purged := x.invalidate(a, x.upstream.post)
	if x.upstream.as == storeNothing {
		return decision{fatePass, a.length}
	}
	if x.upstream.as == storePost {
		// The walk begins here, after the invalidations by this answer: they do not prevent storing
		// it.
		x.hc = cirque.HttpCache{}
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
	case x.hc.Phase() == cirque.PhaseStale && x.standInFor(a.status, nil):
		return decision{fateDiscard, a.length}
	case x.sent().Method == http.MethodHead:
		return decision{x.decideHead(a, e), a.length}
	}
	return x.decideFull(a, e)
}

// exchange returns the client's request together with the origin's answer, for the rules.
func (x *transaction) exchange(a *reply) *rules.Exchange {
	e := &rules.Exchange{
		Request: x.presented(x.sent()), Status: a.status, Header: a.header,
		RequestTime: x.upstream.askedAt, ResponseTime: x.now, Decoded: a.decoded, Stripped: x.stripped, Changed: a.changed,
	}
	if x.cache.keyedByCredentials() {
		e.Keyed = credentialFields[:]
	}
	return e
}
