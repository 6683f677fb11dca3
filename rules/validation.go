package rules

import (
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/internal/field"
)

// Precondition says how a request's preconditions change the answer from a stored response.
type Precondition uint8

const (
	// PreconditionNone: no precondition applies, or all hold. Answer as if there were none.
	PreconditionNone Precondition = iota
	// PreconditionNotModified: answer 304 (RFC 9110 §15.4.5).
	PreconditionNotModified
)

// HasPreconditions reports whether a request with header h has preconditions that a cache
// evaluates.
func HasPreconditions(h http.Header) bool {
	return len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0
}

// EvaluatePreconditions evaluates the preconditions of a request against the stored response that
// would answer it, in the order of RFC 9110 §13.2.2. A cache does not evaluate If-Match and
// If-Unmodified-Since (RFC 9111 §4.3.2), so the result is never a 412. [IfRangeHolds] evaluates
// If-Range.
func EvaluatePreconditions(method string, h http.Header, meta *cirque.CacheMeta) Precondition {
	if method != "" && method != http.MethodGet && method != http.MethodHead {
		return PreconditionNone
	}
	if status := meta.StatusCode(); status < 200 || status > 299 {
		return PreconditionNone // RFC 9110 §13.2.1
	}
	if tags := h["If-None-Match"]; len(tags) > 0 { // then If-Modified-Since is ignored (RFC 9110 §13.1.3)
		if noneMatch(tags, meta.Header().Get("Etag")) {
			return PreconditionNone
		}
		return PreconditionNotModified
	}
	// A list of dates, or an invalid date, is ignored (RFC 9110 §13.1.3).
	since, ok := field.SingleDate(h["If-Modified-Since"], meta.Updated())
	if !ok || lastModified(meta).After(since) {
		return PreconditionNone
	}
	return PreconditionNotModified
}

// noneMatch evaluates If-None-Match (RFC 9110 §13.1.2): an asterisk matches any representation, and
// tags compare weakly.
func noneMatch(lines []string, etag string) bool {
	if len(lines) == 1 && field.TrimOWS(lines[0]) == "*" {
		return false
	}
	for tag := range entityTags(lines) {
		if WeakMatch(tag, etag) {
			return false
		}
	}
	return true
}

// lastModified returns the time that If-Modified-Since is compared with: Last-Modified, else Date,
// else the time when the response was received (RFC 9111 §4.3.2).
func lastModified(meta *cirque.CacheMeta) time.Time {
	header := meta.Header()
	for _, name := range []string{"Last-Modified", "Date"} {
		if t, ok := field.ParseDate(header.Get(name), meta.Updated()); ok {
			return t
		}
	}
	return meta.Updated()
}

// WeakMatch compares two entity tags weakly (RFC 9110 §8.8.3.2). An empty tag matches nothing.
func WeakMatch(a, b string) bool {
	a, b = strings.TrimPrefix(a, "W/"), strings.TrimPrefix(b, "W/")
	return a != "" && a == b
}

// StrongMatch compares two entity tags strongly (RFC 9110 §8.8.3.2).
func StrongMatch(a, b string) bool { return isStrong(a) && a == b }

// isStrong reports whether tag is a strong entity tag. Without quotes it is not an entity tag.
func isStrong(tag string) bool {
	return len(tag) >= 2 && tag[0] == '"' && tag[len(tag)-1] == '"'
}

// WeakTag returns the weak form of an entity tag. A response that was stored decoded is sent with
// it, because its bytes are not those that the origin made the tag for (RFC 9110 §8.8.1). See
// [cirque.MetaDecoded].
func WeakTag(tag string) string {
	if isStrong(tag) {
		return "W/" + tag
	}
	return tag
}

// entityTags yields the members of a list of entity tags. In a tag, unlike in a quoted-string, a
// backslash escapes nothing (RFC 9110 §8.8.3).
func entityTags(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for line != "" {
				quoted := false
				end := strings.IndexFunc(line, func(c rune) bool {
					quoted = quoted != (c == '"')
					return c == ',' && !quoted
				})
				if end < 0 {
					end = len(line)
				}
				tag := field.TrimOWS(line[:end])
				line = line[min(end+1, len(line)):]
				if tag != "" && !yield(tag) {
					return
				}
			}
		}
	}
}

var conditionalFields = []string{"If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"}

// RefreshHeader turns h, a clone of a client's request header, into that of a request that
// refreshes what is stored: without the client's preconditions, range and directives.
func RefreshHeader(h http.Header) {
	for _, name := range conditionalFields {
		delete(h, name)
	}
	for _, name := range [...]string{"Range", "If-Range", "Cache-Control", "Pragma"} {
		delete(h, name)
	}
}

// UpstreamHeader turns h, a clone of a client's request header, into the header of the cache's own
// request for a response to store. It deletes the client's preconditions, and also Range and
// If-Range unless keepRange is set, because the response must be useful to all clients. It adds the
// entity tags of the stored responses that validators describe. It adds If-Modified-Since if there
// is only one such response and h has no Range (RFC 9111 §4.3.1).
func UpstreamHeader(h http.Header, validators []cirque.Variant, keepRange bool) {
	for _, name := range conditionalFields {
		delete(h, name)
	}
	if !keepRange {
		delete(h, "Range")
		delete(h, "If-Range")
	}
	var tags []string
	for _, v := range validators {
		if v.ETag != "" && !slices.Contains(tags, v.ETag) {
			tags = append(tags, v.ETag)
		}
	}
	if len(tags) > 0 {
		h["If-None-Match"] = []string{strings.Join(tags, ", ")}
	}
	if len(validators) == 1 && validators[0].LastModified != "" && len(h["Range"]) == 0 {
		h["If-Modified-Since"] = []string{validators[0].LastModified}
	}
}

// notModifiedFields are the fields of a 304 (RFC 9110 §15.4.5), and the targeted field, which has
// the purpose of Cache-Control (RFC 9213 §3).
var notModifiedFields = []string{
	"Cache-Control", "Cdn-Cache-Control", "Content-Location", "Date", "Etag", "Expires", "Vary",
}

// NotModifiedHeader sets in dst the fields of a 304 for the stored response (RFC 9110 §15.4.5). The
// caller must add Age and Cache-Status.
func NotModifiedHeader(meta *cirque.CacheMeta, dst http.Header) {
	for name, value := range meta.Header().All() {
		if slices.Contains(notModifiedFields, name) {
			dst[name] = append(dst[name], value)
		}
	}
	if tag := dst["Etag"]; len(tag) == 0 {
		if modified := meta.Header().Get("Last-Modified"); modified != "" {
			dst["Last-Modified"] = []string{modified}
		}
	} else if meta.Has(cirque.MetaDecoded) {
		tag[0] = WeakTag(tag[0])
	}
}
