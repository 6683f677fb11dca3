package middleware

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// upstream says what to ask the origin, and what its reply may be stored as. The zero value plans
// for the whole of what the client wants, and lets the reply be stored as such.
type upstream struct {
	as         storeAs
	post       *post            // with storePost
	part       *partFill        // with storePart
	keeps      kept             // what the origin gets of the client's Range and preconditions
	validators []cirque.Variant // of stored responses; sent in place of the client's validators
	secondTime bool             // the origin is asked for the second time

	decided   bool              // the fate of the latest reply was decided
	askedAt   time.Time         // when the origin was asked
	repliedAt time.Time         // when its header came
	epoch     cirque.PurgeEpoch // of the Storage at askedAt
}

// storeAs says what the reply may be stored as.
type storeAs uint8

const (
	storeWhole   storeAs = iota // as the answer to this request
	storePost                   // as the answer to later GETs of the POST's target
	storePart                   // together with the stored part
	storeNothing                // nothing: it is for this client alone
)

// kept says what the origin gets of the client's Range and preconditions.
type kept uint8

const (
	keepNone  kept = iota
	keepRange      // Range and If-Range
	keepAll        // and the preconditions
)

// post says what a POST's answer may be stored as.
type post struct {
	key         cirque.CacheKey
	timesPurged func() int // counts the purges of key since the POST came in
}

// wantWhole plans for a response that can be stored whole.
func (u *upstream) wantWhole() { u.as, u.part = storeWhole, nil }

// wantMissing plans for the bytes that are missing from the stored part.
func (u *upstream) wantMissing(part *partFill) { u.as, u.part = storePart, part }

// wantAsClient plans for exactly what the client asks for. The reply is for that client alone.
func (u *upstream) wantAsClient() {
	u.as, u.part, u.keeps, u.validators = storeNothing, nil, keepAll, nil
}

// wantUnconditional plans a second request without conditions, because the reply to a conditional
// one could not be used. It returns false if the origin was already asked twice.
func (u *upstream) wantUnconditional() bool {
	if u.secondTime {
		return false
	}
	u.secondTime, u.validators = true, nil
	if u.part != nil {
		u.wantWhole()
	}
	return true
}

// planOrigin decides what the origin will be asked. The door asks it later.
func (x *transaction) planOrigin() source {
	if x.hc.Phase() == cirque.PhaseCacheKey {
		x.hc.Miss()
	}
	x.status.collapsed = false // it waited, and has to ask nevertheless
	u := &x.upstream
	u.validators = x.storedValidators()
	if u.part != nil {
		return fromOrigin
	}
	if x.hc.Phase() != cirque.PhaseStale && !x.hc.PredictCacheable() {
		// The answer is probably for this client alone. So the origin gets what the client asked
		// for (RFC 9110 §13.2.1), and a response that was once too large to be fetched whole is not
		// fetched whole again (§14.2). A stale entry is different: the predictor knows its key
		// because the entry must be validated before each use, and a newer response is to replace
		// it.
		u.keeps = keepRange
		if len(u.validators) == 0 {
			u.keeps = keepAll
		}
	}
	if x.cache.cfg.Ranges == RangesForward {
		u.keeps = max(u.keeps, keepRange)
	}
	return fromOrigin
}

// maxTagBytes bounds the tags of other variants in If-None-Match, in bytes: servers refuse header
// lines that are too long.
const maxTagBytes = 2 << 10

// storedValidators returns what one request can validate: the stale entry, and the other variants
// of the resource (RFC 9111 §4.3.1), the newest first, as many as there is room for. Other variants
// need a strong tag: several variants may share a weak tag, which would not tell them apart.
func (x *transaction) storedValidators() []cirque.Variant {
	var validators []cirque.Variant
	if meta := x.hc.Meta(); meta != nil {
		validators = append(validators, cirque.VariantOf(x.hc.Key(), meta))
	}
	record, room := x.hc.VaryRecord(), maxTagBytes
	if record == nil || record.OfResources() || x.target.hasDimensions() {
		return validators
	}
	for _, v := range slices.Backward(record.Variants) {
		if v.Hash == x.hc.Key().Variance() || !strings.HasPrefix(v.ETag, `"`) {
			continue
		}
		if room -= len(v.ETag) + len(", "); room < 0 {
			break
		}
		validators = append(validators, v)
	}
	return validators
}

// sent returns the client's request as the origin gets it: Config.HeadAsGet turns a HEAD into a
// GET.
func (x *transaction) sent() *http.Request {
	if !x.cache.cfg.HeadAsGet || x.req.Method != http.MethodHead || x.upstream.as == storeNothing {
		return x.req
	}
	get := *x.req
	get.Method = http.MethodGet
	if get.Header["Range"] != nil {
		// RFC 9110 §14.2: Range has no meaning in a HEAD.
		get.Header = get.Header.Clone()
		get.Header.Del("Range")
		get.Header.Del("If-Range")
	}
	return &get
}

// upstreamRequest returns the request for the origin, with ctx as its context.
func (x *transaction) upstreamRequest(ctx context.Context) *http.Request {
	if x.hc.IsWriter() {
		x.flight.fetchContext = fetchContext{ctx, x.cache, x.hc.Key().PrimaryHash()}
		ctx = &x.flight.fetchContext
	}
	r := x.sent().Clone(ctx)
	x.upstream.setConditions(r.Header)
	return r
}

// setConditions gives h, which is the client's, the Range and the preconditions that the origin
// gets.
func (u *upstream) setConditions(h http.Header) {
	switch {
	case u.as == storePost, u.keeps == keepAll:
	case u.as == storePart:
		u.part.requestMissing(h)
	default:
		rules.UpstreamHeader(h, u.validators, u.keeps == keepRange)
	}
}

// noteAsked notes that the origin is asked now. This time decides which of two answers is more
// recent, and the epoch decides which purges came later.
func (x *transaction) noteAsked() {
	x.upstream.decided = false
	x.cache.counters.origin.requests.Add(1)
	x.upstream.askedAt, x.upstream.epoch = time.Now(), x.cache.opts.Storage.Purges().Epoch()
}

// countUndecided counts a request to the origin that has brought no answer. It is called when the
// request is over.
func (x *transaction) countUndecided() {
	if !x.upstream.decided {
		x.cache.counters.origin.failed.Add(1)
	}
}
