package middleware

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// forward routes the request to the origin, and decides what is asked there.
func (x *exchange) forward() route {
	if x.hc.Phase() == cirque.PhaseCacheKey {
		x.hc.Miss()
	}
	x.status.collapsed = false // it waited, and asks all the same
	x.validators = x.storedValidators()
	if x.part == nil && x.hc.Phase() != cirque.PhaseStale && !x.hc.PredictCacheable() {
		// Most likely the client's alone: it gets what it asked for (RFC 9110 §13.2.1), and what
		// was too large to be fetched whole is not fetched whole again (§14.2). Not so where there
		// is a stale entry: the key is then known for what has to be validated before each use, and
		// a newer response is to take the entry's place.
		x.keepRange, x.asIs = true, len(x.validators) == 0
	}
	if x.cache.cfg.Ranges == RangesForward && x.part == nil {
		x.keepRange = true
	}
	return routeForward
}

// maxTagBytes is how much If-None-Match may hold of other variants' tags: servers refuse header
// lines that are too long.
const maxTagBytes = 2 << 10

// storedValidators returns what can be validated with one request: the stale entry, and the other
// variants of the resource (RFC 9111 §4.3.1), as far as there is room for them, the newest first.
// Of those only the ones with a strong tag: several variants may share a weak one, which would not
// tell them apart.
func (x *exchange) storedValidators() []cirque.Variant {
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

// sent returns the request as far as the origin gets it: a HEAD may be a GET there.
func (x *exchange) sent() *http.Request {
	if !x.cache.cfg.HeadAsGet || x.req.Method != http.MethodHead || x.noStore {
		return x.req
	}
	get := *x.req
	get.Method = http.MethodGet
	if get.Header["Range"] != nil {
		// RFC 9110 §14.2: with a HEAD it had no meaning.
		get.Header = get.Header.Clone()
		get.Header.Del("Range")
		get.Header.Del("If-Range")
	}
	return &get
}

// upstream returns the request to send to the origin, with a context of its own.
func (x *exchange) upstream(ctx context.Context) *http.Request {
	if x.hc.IsWriter() {
		x.flight.fetch = fetch{ctx, x.cache, x.hc.Key().PrimaryHash()}
		ctx = &x.flight.fetch
	}
	r := x.sent().Clone(ctx)
	switch {
	case x.post != nil, x.asIs:
	case x.part != nil:
		x.part.ask(r.Header)
	default:
		rules.UpstreamHeader(r.Header, x.validators, x.keepRange)
	}
	return r
}

// fetch is the context of a request to the origin that is made with the write permit of a key.
type fetch struct {
	context.Context
	cache *Cache
	key   cirque.HashBinary
}

type fetchKey struct{}

// Value implements context.Context.
func (f *fetch) Value(key any) any {
	if key == (fetchKey{}) {
		return f
	}
	return f.Context.Value(key)
}

// nested reports whether x is part of a fetch for its own key: the cache is mounted twice on the
// way of one request. x must not wait for the write permit then, as the holder waits for x.
func (x *exchange) nested() bool {
	key := x.hc.Key().PrimaryHash()
	f, _ := x.client.Value(fetchKey{}).(*fetch)
	for f != nil {
		if f.cache == x.cache && f.key == key {
			return true
		}
		f, _ = f.Context.Value(fetchKey{}).(*fetch)
	}
	return false
}

// retry makes the next request to the origin one that asks for nothing but the response itself,
// after an answer to something more subtle proved useless. It reports false if that was tried.
func (x *exchange) retry() bool {
	if x.retried {
		return false
	}
	x.retried = true
	x.validators, x.part = nil, nil
	return true
}
