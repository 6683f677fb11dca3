package rules

// Reason says in words what a token in the detail parameter of Cache-Status means (RFC 9211 §2.8):
// a Detail of this package.
type Reason struct {
	Token   string `json:"token"`
	Section string `json:"section"` // "RFC 9111 §5.2.2.5"; empty if no RFC asks for it
	Text    string `json:"text"`    // a short sentence
}

// ReasonOf returns the Reason for a token of this package; ok is false for any other.
func ReasonOf(token string) (r Reason, ok bool) {
	for _, r := range reasons {
		if r.Token == token {
			return r, true
		}
	}
	return Reason{Token: token}, false
}

// reasons has every Detail of this package, in the order of the files in doc.go.
var reasons = []Reason{
	{"method", "RFC 9111 §4", "Only GET and HEAD are answered from a cache."},
	{"method-override", "", "The request has a field that asks for another method, and the origin may obey it."},
	{"target-override", "", "The request has a field that names another URL, and the origin may obey it."},
	{"request-content", "RFC 9110 §9.3.1", "The request has content, which is not part of the key."},
	{"upgrade", "RFC 9110 §7.8", "The request asks for another protocol."},
	{"precondition", "RFC 9111 §4.3.2", "The request has If-Match or If-Unmodified-Since, which only the origin can evaluate."},

	{"must-understand", "RFC 9111 §5.2.2.3", "The response has must-understand, and the cache does not know its status."},
	{"no-store", "RFC 9111 §5.2.2.5", "The response has no-store."},
	{"private", "RFC 9111 §5.2.2.7", "The response is private, and this cache is shared."},
	{"server-error", "RFC 9111 §3", "The response is an error of the server, and the configuration gives that status no lifetime."},
	{"no-freshness", "RFC 9111 §3", "The response has neither a lifetime nor a validator that would allow its reuse."},
	{"vary-star", "RFC 9111 §4.1", "Vary: * matches no request."},
	{"vary", "RFC 9111 §4.1", "The response forbids storing its Vary field, without which it would match every request."},
	{"set-cookie", "RFC 9111 §7.3", "The response sets a cookie, so it was probably made for one client."},
	{"header-invalid", "RFC 9110 §5.5", "The header of the response has bytes that are not allowed."},
	{"header-too-large", "", "The header of the response is larger than MaxHeaderBytes."},
	{"no-cache", "RFC 9111 §5.2.2.4", "The response has no-cache: it must be validated before each use."},
	{"request-no-store", "RFC 9111 §5.2.1.5", "The request has no-store."},
	{"authorization", "RFC 9111 §3.5", "The request has Authorization, and the response does not allow a shared cache to store it."},
	{"request-changed", "RFC 9111 §4.1", "On the way to the origin, something changed a request field that selects the response."},
	{"cpdos-request", "RFC 9111 §7.1", "The request may itself have caused the error that came back."},
	{"status", "RFC 9111 §3", "A response with this status is not stored."},
	{"content-location", "RFC 9110 §9.3.3", "The response to a POST does not have the URL itself as its Content-Location."},

	{"multipart", "RFC 9111 §3.3", "The response has several ranges."},
	{"content-range", "RFC 9110 §14.4", "The response is a part without a usable Content-Range."},
	{"no-validator", "RFC 9111 §3.4", "The response is a part without a strong validator."},
	{"not-combinable", "RFC 9111 §3.4", "The part is of another representation than what is stored."},
	{"too-many-ranges", "RFC 9111 §3.4", "The stored parts would be too many."},

	{"forced", "", "The configuration's HitFilter decided."},
	{"stale-while-revalidate", "RFC 5861 §3", "The stored response may be served stale while it is revalidated."},
	{"request-no-cache", "RFC 9111 §5.2.1.4", "The request has no-cache: it wants an answer of the origin."},
	{"request-max-age", "RFC 9111 §5.2.1.1", "The stored response is older than the request's max-age allows."},
	{"request-min-fresh", "RFC 9111 §5.2.1.3", "The stored response will not be fresh for as long as the request's min-fresh asks."},
	{"request-max-stale", "RFC 9111 §5.2.1.2", "The request accepts a stale response (max-stale)."},

	{"vary-changed", "RFC 9111 §4.1", "The 304 changed the Vary field."},
}
