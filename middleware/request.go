package middleware

import (
	"context"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// clientRequest is what a client asks for, as its door took it.
type clientRequest struct {
	cache      *Cache
	door       door
	req        *http.Request   // without the fields of its connection, with the values of Config.Normalize
	said       http.Header     // the header of req before Config.Normalize
	stripped   bool            // fields were removed that may matter to the origin
	target     target          // the URL that the client asked for
	client     context.Context // it ends when the client leaves
	background bool            // the cache makes the request by itself: no client waits for the answer
}

// newClientRequest returns what r, which came in by d, asks c for.
func newClientRequest(c *Cache, d door, r *http.Request) clientRequest {
	q := clientRequest{cache: c, door: d, req: r, client: r.Context()}
	if r.Header["Connection"] != nil {
		// RFC 9110 §7.6.1: these fields are removed before the key is made and before anything is
		// forwarded, so that no field that the key depends on goes missing in between.
		clean := *r
		clean.Header = r.Header.Clone()
		q.stripped = rules.RemoveConnectionFields(clean.Header)
		q.req = &clean
	}
	q.said = q.req.Header
	q.req = c.normalized(q.req)
	q.target = c.target(d, q.req)
	return q
}

// presented returns r, which is q's request or made from it, as the client sent it: its URL is the
// one that the client asked for. The rules have to see it so.
func (q *clientRequest) presented(r *http.Request) *http.Request { return q.target.present(r) }

// cacheable reports whether a cache may answer the request at all, and if not, why.
func (q *clientRequest) cacheable() (ok bool, why string) {
	r := q.req
	if q.target.outbound && r.Body != nil && r.Body != http.NoBody {
		// The Body of a client's request tells that it has content. A server's request tells it by
		// its length, and its URL does not matter to this rule.
		r = q.presented(r)
	}
	return q.cache.policy.RequestCacheable(r)
}

// filtered reports whether Config.RequestFilter keeps the request out of the cache.
func (q *clientRequest) filtered() bool {
	filter := q.cache.cfg.RequestFilter
	return filter != nil && !filter(q.req)
}

// varianceHook returns what adds the request's dimensions beyond those that Vary names. It is nil
// where there can be none. It keeps no pointer to q, which would move q to the heap.
func (q *clientRequest) varianceHook() func(*cirque.VarianceBuilder) {
	variance, req := q.cache.cfg.Variance, q.req
	switch {
	case q.target.hasDimensions():
		t := q.target
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

// selection is what a request selects of what is stored under its key: a variant, by the fields of
// record and by the URL that the request was rewritten to.
type selection struct {
	record  *cirque.VaryRecord // nil where none is known
	variant cirque.HashBinary
}

// selects returns what the request selects if record is the one under its key.
func (q *clientRequest) selects(record *cirque.VaryRecord) selection {
	b := cirque.NewVarianceBuilder()
	if record != nil {
		b = cirque.VaryVariance(record.Fields, q.req.Header, record.Epoch)
	}
	if extra := q.varianceHook(); extra != nil {
		extra(b)
	}
	variant, _ := b.Finalize()
	return selection{record, variant}
}

// nested reports whether the request is part of a fetch for key: the cache is mounted twice on the
// way of one request. The request must not wait for the write permit then, since the holder of the
// permit waits for the request.
func (q *clientRequest) nested(key cirque.HashBinary) bool {
	f, _ := q.client.Value(fetchKey{}).(*fetch)
	for f != nil {
		if f.cache == q.cache && f.key == key {
			return true
		}
		f, _ = f.Context.Value(fetchKey{}).(*fetch)
	}
	return false
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
