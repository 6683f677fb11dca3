package middleware

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
	"github.com/cirquecache/cirque/rules"
)

// answer is a response that is served from the Storage, or from a fill. transaction.answer fills in
// its header. The caller must send the body and close it.
type answer struct {
	status int
	length int64         // of the body that is sent; negative if unknown
	body   io.ReadCloser // nil if no body is sent
	flight *flight       // behind the body, if there is one: its trailer is sent after the body
	live   bool          // the fill may still be writing the body, or a trailer follows it
}

// answer makes a response to this request of what the walk found, and fills header, which must be
// empty.
func (x *transaction) answer(header http.Header) answer {
	meta := x.hc.Meta()
	room := meta.Header().CopyTo(header, finishHeaderFields)
	x.addFromOrigin(header, nil)
	x.finishHeader(header, meta, room)
	current := x.upstream.as != storePost && rules.HasPreconditions(x.req.Header) && x.notModified(meta) // before TakeHit, because the hook may panic
	hit := x.hc.TakeHit()
	if c := x.cache.curve.Load(); c != nil {
		x.entry = c.seen(x, hit, meta)
	}
	a := answer{status: meta.StatusCode(), length: -1, flight: x.flight}
	if a.flight == nil || a.flight.fill.Load() == nil {
		a.flight = x.cache.flights.of(hit)
	}
	if current {
		return x.notModifiedAnswer(a, header, meta, hit)
	}
	if meta.Has(cirque.MetaPartial) && x.req.Method != http.MethodHead {
		return x.partAnswer(a, header, meta, hit)
	}
	size, known := hit.Size()
	if !known { // the fill is still writing the body; the origin may have announced its length
		size = field.Length(header)
		known = size >= 0
		a.live = true
	}
	if x.req.Method == http.MethodGet && a.status == http.StatusOK && known {
		if done := x.rangeAnswer(&a, header, meta, hit, size); done {
			return a
		}
	}
	a.length = size
	if known && len(a.flight.trailers()) > 0 {
		known, a.live = false, true // a trailer needs a body without Content-Length (RFC 9112 §7.1.2)
		delete(header, "Content-Length")
	}
	if !known {
		a.length = -1
	} else if bodyAllowed(a.status) && header["Content-Length"] == nil {
		header["Content-Length"] = []string{strconv.FormatInt(size, 10)}
	}
	if x.req.Method == http.MethodHead || !bodyAllowed(a.status) {
		_ = hit.Close()
		return a
	}
	a.body = hit
	return a
}

// notFromOrigin lists fields that addFromOrigin never copies. They describe the framing or the age
// of an answer, or, in a 304, a content that the 304 does not have (RFC 9110 §15.4.5).
var notFromOrigin = []string{"Age", "Content-Length", "Content-Range", "Content-Encoding", "Content-Type", "Trailer", "Vary"}

// contentFields lists further fields that describe the content of the response in which they came
// (RFC 9110 §8, RFC 9530). A 304 that is made of a 200 does not have them (RFC 9110 §15.4.5).
var contentFields = []string{
	"Accept-Ranges", "Content-Digest", "Content-Disposition", "Content-Language", "Content-Md5", "Digest", "Last-Modified", "Repr-Digest",
}

// addFromOrigin adds to header the fields of the origin's answer to this very request that header
// lacks, except for those in notFromOrigin and in except. They are for this client, and for nobody
// after it (RFC 9111 §5.2.2.4 and §5.2.2.7, RFC 6265 §3).
func (x *transaction) addFromOrigin(header http.Header, except []string) {
	if x.replyHeader == nil || x.background {
		return
	}
	var own http.Header // without the fields of the connection; made when the first missing field is found
	for name, values := range x.replyHeader {
		if header[name] != nil || len(values) == 0 || slices.Contains(notFromOrigin, name) || slices.Contains(except, name) {
			continue
		}
		if own == nil {
			own = maps.Clone(x.replyHeader)
			rules.RemoveConnectionFields(own)
		}
		if own[name] != nil {
			header[name] = slices.Clone(values)
		}
	}
}

// finishHeaderFields is how many fields finishHeader sets.
const finishHeaderFields = 2

// finishHeader sets the fields that belong to this answer and not to the stored response. Their
// values are stored in room.
func (x *transaction) finishHeader(header http.Header, meta *cirque.CacheMeta, room []string) {
	if x.replyHeader == nil || x.replyHeader["Age"] != nil {
		// RFC 9111 §5.1: Age means that the origin did not generate or validate the response for
		// this request. So it is left out if the origin did so, unless a cache further up has set
		// it.
		age := int64(meta.Age(x.now) / time.Second)
		room[0] = strconv.FormatInt(min(age, 1<<31), 10)
		header["Age"] = room[:1:1]
	}
	if meta.Has(cirque.MetaDecoded) {
		weaken(header)
	}
	x.setCacheStatus(header, room[1:1:2])
}

// weaken makes a strong entity tag weak: the bytes that are sent are not those for which the origin
// gave it (RFC 9110 §8.8.1).
func weaken(header http.Header) {
	if tag := header.Get("Etag"); tag != "" {
		header["Etag"] = []string{rules.WeakTag(tag)}
	}
}

// notModified reports whether the client's copy is current.
func (x *transaction) notModified(meta *cirque.CacheMeta) bool {
	if meta.StatusCode() != http.StatusOK {
		return false // RFC 9110 §13.2.1: preconditions apply to what would be a 2xx
	}
	if x.cache.cfg.NotModified != nil {
		return x.cache.cfg.NotModified(x.req, meta)
	}
	return rules.EvaluatePreconditions(x.req.Method, x.req.Header, meta) == rules.PreconditionNotModified
}

// notModifiedAnswer makes a the 304 that stands for hit, and closes hit.
func (x *transaction) notModifiedAnswer(a answer, header http.Header, meta *cirque.CacheMeta, hit cirque.HitHandler) answer {
	_ = hit.Close()
	clear(header)
	rules.NotModifiedHeader(meta, header)
	// The client gets the fields of the origin's answer to this very request, known or not (RFC
	// 9110 §5.1): a cache there updates its stored response with them (RFC 9111 §3.2).
	if x.status.fwdStatus == http.StatusNotModified {
		x.addFromOrigin(header, nil)
	} else {
		x.addFromOrigin(header, contentFields)
	}
	x.finishHeader(header, meta, make([]string, finishHeaderFields))
	a.status = http.StatusNotModified
	return a
}

// bodyAllowed reports whether a response with this status has content (RFC 9110 §6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
