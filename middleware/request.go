package middleware

import (
	"context"
	"net/http"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// clientRequest is what a client asks for, as the door received it.
type clientRequest struct {
	cache        *Cache
	door         door
	req          *http.Request   // without fields of its connection; Config.Normalize was applied
	clientHeader http.Header     // the header of req before Config.Normalize
	stripped     bool            // fields were removed that the origin may use
	target       target          // the URL that the client asked for
	client       context.Context // ends when the client leaves
	background   bool            // the cache itself makes the request; no client waits for the answer
}

// newClientRequest returns what r asks of c. r came in through d.
func newClientRequest(c *Cache, d door, r *http.Request) clientRequest {
	q := clientRequest{cache: c, door: d, req: r, client: r.Context()}
	if r.Header["Connection"] != nil {
		// RFC 9110 §7.6.1: these fields are removed before the key is made and before anything is
		// forwarded. So the origin cannot miss a field that the key contains.
		clean := *r
		clean.Header = r.Header.Clone()
		q.stripped = rules.RemoveConnectionFields(clean.Header)
		q.req = &clean
	}
	q.clientHeader = q.req.Header
	q.req = c.normalized(q.req)
	q.target = c.target(d, q.req)
	return q
}

// presented returns r as the client sent it: with the URL that the client asked for. r is q's
// request, or made from it. The rules must see requests in this form.
func (q *clientRequest) presented(r *http.Request) *http.Request { return q.target.present(r) }

// cacheable reports whether a cache may answer the request at all. If not, why is the reason.
func (q *clientRequest) cacheable() (ok bool, why string) {
	r := q.req
	if q.target.outbound && r.Body != nil && r.Body != http.NoBody {
		// A client's request shows by its Body that it has content. A server's request shows it by
		// its length, and this rule does not use its URL.
		r = q.presented(r)
	}
	return q.cache.policy.RequestCacheable(r)
}

// filtered reports whether Config.RequestFilter keeps the request out of the cache.
func (q *clientRequest) filtered() bool {
	filter := q.cache.cfg.RequestFilter
	return filter != nil && !filter(q.req)
}

// varianceHook returns the function that adds the request's dimensions beyond those in Vary; nil if
// there are none. The function has no pointer to q, because that would move q to the heap.
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

// selection is the part of what is stored under a key that a request selects: a variant. The fields
// named by record select it, and the URL to which the request was rewritten.
type selection struct {
	record  *cirque.VaryRecord // nil if none is known
	variant cirque.HashBinary
}

// selectionFor returns what the request selects when record is the vary record under its key.
func (q *clientRequest) selectionFor(record *cirque.VaryRecord) selection {
	b := new(cirque.VarianceBuilder)
	if record != nil {
		b = cirque.VaryVariance(record.Fields, q.req.Header, record.Epoch)
	}
	if extra := q.varianceHook(); extra != nil {
		extra(b)
	}
	variant, _ := b.Finalize()
	return selection{record, variant}
}

// nested reports whether the request is part of a fetch for key, because the cache is mounted twice
// on the way of one request. Such a request must not wait for the write permit: the holder of the
// permit waits for the request.
func (q *clientRequest) nested(key cirque.HashBinary) bool {
	f, _ := q.client.Value(fetchKey{}).(*fetchContext)
	for f != nil {
		if f.cache == q.cache && f.key == key {
			return true
		}
		f, _ = f.Context.Value(fetchKey{}).(*fetchContext)
	}
	return false
}

// fetchContext is the context of a request to the origin that is made with the write permit for a
// key.
type fetchContext struct {
	context.Context
	cache *Cache
	key   cirque.HashBinary
}

type fetchKey struct{}

// Value implements context.Context.
func (f *fetchContext) Value(key any) any {
	if key == (fetchKey{}) {
		return f
	}
	return f.Context.Value(key)
}
