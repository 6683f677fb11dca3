package cirque

// knownNames are the field names that a packed header section writes as numbers, in two bytes each.
// Written out, the names of ten usual fields take about 130 bytes, which a cache of small responses
// would hold a million times.
//
// The numbers are part of the binary form of metas: names may be added at the end, up to 256, and
// none may move. The first is empty, because no field has an empty name.
var knownNames = [...]string{
	"",
	"Accept-Ranges",
	"Access-Control-Allow-Credentials",
	"Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods",
	"Access-Control-Allow-Origin",
	"Access-Control-Expose-Headers",
	"Access-Control-Max-Age",
	"Age",
	"Allow",
	"Alt-Svc",
	"Cache-Control",
	"Cache-Groups",
	"Cache-Status",
	"Cache-Tag",
	"Cdn-Cache-Control",
	"Content-Disposition",
	"Content-Encoding",
	"Content-Language",
	"Content-Length",
	"Content-Location",
	"Content-Range",
	"Content-Security-Policy",
	"Content-Security-Policy-Report-Only",
	"Content-Type",
	"Cross-Origin-Embedder-Policy",
	"Cross-Origin-Opener-Policy",
	"Cross-Origin-Resource-Policy",
	"Date",
	"Deprecation",
	"Digest",
	"Etag",
	"Expires",
	"Last-Modified",
	"Link",
	"Location",
	"Nel",
	"Origin-Agent-Cluster",
	"Permissions-Policy",
	"Pragma",
	"Referrer-Policy",
	"Report-To",
	"Reporting-Endpoints",
	"Repr-Digest",
	"Retry-After",
	"Server",
	"Server-Timing",
	"Set-Cookie",
	"Strict-Transport-Security",
	"Sunset",
	"Surrogate-Control",
	"Surrogate-Key",
	"Timing-Allow-Origin",
	"Vary",
	"Via",
	"Warning",
	"Www-Authenticate",
	"X-Cache",
	"X-Content-Type-Options",
	"X-Dns-Prefetch-Control",
	"X-Download-Options",
	"X-Frame-Options",
	"X-Permitted-Cross-Domain-Policies",
	"X-Powered-By",
	"X-Request-Id",
	"X-Robots-Tag",
	"X-Ua-Compatible",
	"X-Xss-Protection",
}

// nameNumbers is the inverse of knownNames.
var nameNumbers = func() map[string]byte {
	numbers := make(map[string]byte, len(knownNames))
	for i, name := range knownNames {
		numbers[name] = byte(i)
	}
	return numbers
}()

// appendName appends the packed form of a field name. That is a zero length and the number if the
// name has one, else the name with its length.
func appendName(dst []byte, name string) []byte {
	if number, ok := nameNumbers[name]; ok {
		return append(dst, 0, number)
	}
	return appendString(dst, name)
}

// nameIn returns the name that s begins with. Like lengthPrefixed, it reads strings that were
// checked before.
func nameIn(s string) (name, rest string) {
	if s[0] == 0 {
		return knownNames[s[1]], s[2:]
	}
	return lengthPrefixed(s)
}

// checkedName is nameIn for a string that was not checked before.
func checkedName(s string) (name, rest string, ok bool) {
	if len(s) >= 2 && s[0] == 0 && int(s[1]) < len(knownNames) {
		return knownNames[s[1]], s[2:], true
	}
	return checkedString(s)
}
