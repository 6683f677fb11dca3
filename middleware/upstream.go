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

// upstream says what the origin is asked, and what its answer may be stored as. The zero value asks
// for the whole of what the client wants, which may be stored as such.
type upstream struct {
	as         storeAs
	post       *post            // with storePost
	part       *partFill        // with storePart
	keeps      conditions       // what of the client's conditions the origin gets
	validators []cirque.Variant // of stored responses, which the origin gets instead
	again      bool             // it is the second time that the origin is asked

	asked time.Time         // when the origin was asked
	epoch cirque.PurgeEpoch // of the Storage, then
}

// storeAs says what the answer of the origin may be stored as.
type storeAs uint8

const (
	storeWhole   storeAs = iota // as the answer to this request
	storePost                   // as the answer to later GETs of what a POST was for
	storePart                   // together with the part that is stored
	storeNothing                // it is for this client alone
)

// conditions says what of the client's Range and preconditions the origin gets.
type conditions uint8

const (
	keepNone  conditions = iota
	keepRange            // Range and If-Range
	keepAll              // preconditions too
)

// post is what a POST's answer may be stored as.
type post struct {
	key         cirque.CacheKey
	timesPurged func() int // the purges of key since the POST came in
}

// whole asks for a response that may be stored whole.
func (u *upstream) whole() { u.as, u.part = storeWhole, nil }

// complete asks for the bytes that the stored part lacks.
func (u *upstream) complete(part *partFill) { u.as, u.part = storePart, part }

// bypass asks what the client asks, for nobody else.
func (u *upstream) bypass() {
	u.as, u.part, u.keeps, u.validators = storeNothing, nil, keepAll, nil
}

// simplify asks for the response itself, without conditions, after the answer to a request with some
// was of no use. It reports false if that was done before.
func (u *upstream) simplify() bool {
	if u.again {
		return false
	}
	u.again, u.validators = true, nil
	if u.part != nil {
		u.whole()
	}
	return true
}

// askOrigin leads the request to the origin, and decides what is asked there.
func (x *transaction) askOrigin() source {
	if x.hc.Phase() == cirque.PhaseCacheKey {
		x.hc.Miss()
	}
	x.status.collapsed = false // it waited, and asks all the same
	u := &x.upstream
	u.validators = x.storedValidators()
	if u.part != nil {
		return fromOrigin
	}
	if x.hc.Phase() != cirque.PhaseStale && !x.hc.PredictCacheable() {
		// The answer is most likely for this client alone: it gets what it asked for (RFC 9110
		// §13.2.1), and what was too large to be fetched whole is not fetched whole again (§14.2).
		// Not so where there is a stale entry: the key is then known for what has to be validated
		// before each use, and a newer response is to take the entry's place.
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

// maxTagBytes is how much If-None-Match may hold of other variants' tags: servers refuse header
// lines that are too long.
const maxTagBytes = 2 << 10

// storedValidators returns what can be validated with one request: the stale entry, and the other
// variants of the resource (RFC 9111 §4.3.1), the newest first, as far as there is room for them.
// Of those it takes only the ones with a strong tag: several variants may share a weak tag, which
// would not tell them apart.
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

// sent returns the client's request as far as the origin gets it: Config.HeadAsGet makes a GET of a
// HEAD.
func (x *transaction) sent() *http.Request {
	if !x.cache.cfg.HeadAsGet || x.req.Method != http.MethodHead || x.upstream.as == storeNothing {
		return x.req
	}
	get := *x.req
	get.Method = http.MethodGet
	if get.Header["Range"] != nil {
		// RFC 9110 §14.2: Range means nothing with a HEAD.
		get.Header = get.Header.Clone()
		get.Header.Del("Range")
		get.Header.Del("If-Range")
	}
	return &get
}

// upstreamRequest returns the request for the origin, with ctx as its context.
func (x *transaction) upstreamRequest(ctx context.Context) *http.Request {
	if x.hc.IsWriter() {
		x.flight.fetch = fetch{ctx, x.cache, x.hc.Key().PrimaryHash()}
		ctx = &x.flight.fetch
	}
	r := x.sent().Clone(ctx)
	switch u := &x.upstream; {
	case u.as == storePost, u.keeps == keepAll:
	case u.as == storePart:
		u.part.ask(r.Header)
	default:
		rules.UpstreamHeader(r.Header, u.validators, u.keeps == keepRange)
	}
	return r
}

// ask notes that the origin is asked now. Which of two answers is the more recent one, and which
// purges it comes after, goes by that.
func (x *transaction) ask() {
	x.upstream.asked, x.upstream.epoch = time.Now(), x.cache.opts.PurgeEpoch()
}
