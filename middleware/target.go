package middleware

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/cirquecache/cirque"
	"github.com/cirquecache/cirque/rules"
)

// target is what a request asks for, as its client sees it (RFC 9110 §7.1). Keys, invalidations,
// cache groups and purges are all made from it. Behind a Handler, r.URL need not be what the client
// asked for: handlers around the cache may have rewritten it, and a proxy may have ended the TLS
// connection of the client.
type target struct {
	scheme string
	host   string // with its port, in lower case
	server string // the host of the URL if that differs from host: another server is asked
	path   string // escaped, as it was sent; preceded by NUL if it is no path (RFC 9112 §3.2)
	query  string // as it was sent

	hasQuery  bool // there is a query, which may be empty
	outbound  bool // the request is a client's, and its URL is the target
	shown     bool // the request itself shows this target: no handler, proxy or Config has changed it
	rewritten bool // next sees a URL or Host that the client did not ask for
	unkeyable bool // next sees something that any client can set and no key contains: no caching
	secured   bool // next sees a TLS connection, and the scheme may differ from the connection's
}

// target returns the target of a request that came in through d. A request without a RequestURI is
// not a server's: its URL and Host are the target, through either door.
func (c *Cache) target(d door, r *http.Request) (t target) {
	if d == doorTransport || r.RequestURI == "" {
		return outbound(r)
	}
	t = inbound(r)
	if c.public.scheme != "" || c.cfg.TrustForwarded != nil {
		c.applyPublicOrigin(&t, r)
	}
	if u := r.URL; u.Scheme != "" && u.Scheme != t.scheme || u.User != nil {
		// A handler around the cache, or the client, has set this; next may use it.
		t.rewritten, t.shown = true, false
		t.unkeyable = t.hasUnkeyableForm(r)
	}
	return t
}

// hasUnkeyableForm reports whether r has an absolute form with user information, or with a scheme
// that is neither the connection's nor the public one.
func (t *target) hasUnkeyableForm(r *http.Request) bool {
	scheme, user, _, _ := splitRequestURI(r.RequestURI)
	scheme = strings.ToLower(scheme)
	return user != "" || scheme != "" && scheme != t.scheme && scheme != connectionScheme(r)
}

// targetOf is the target of a request if there is no Config.
func targetOf(r *http.Request) target {
	if r.RequestURI == "" {
		return outbound(r)
	}
	return inbound(r)
}

// outbound returns the target of a client's request. RequestURI does not count: a proxy leaves
// there what a server's request had.
func outbound(r *http.Request) (t target) {
	u := r.URL
	t.outbound, t.shown = true, r.RequestURI == ""
	if t.scheme = strings.ToLower(u.Scheme); t.scheme == "" {
		t.scheme = connectionScheme(r)
	}
	t.host, t.server = hosts(t.scheme, r.Host, u.Host)
	t.path, t.query, t.hasQuery = pathAndQuery(u)
	return t
}

// inbound returns the target of a server's request, according to its request line and Host.
func inbound(r *http.Request) (t target) {
	t.scheme, t.shown = connectionScheme(r), true
	scheme, user, authority, rest := splitRequestURI(r.RequestURI)
	t.host, t.server = hosts(t.scheme, r.Host, authority)
	t.path, t.query, t.hasQuery = strings.Cut(rest, "?")
	if t.unchanged(r.URL, scheme, user, authority) {
		if t.path == "" {
			t.path = "/" // RFC 9110 §4.2.3: an empty path component is equivalent to "/"
		}
		return t
	}
	asked, err := url.ParseRequestURI(r.RequestURI)
	switch {
	case err != nil || r.Method == http.MethodConnect && r.RequestURI[0] != '/':
		// It is not known what the client asked for.
		t.host, t.server = hosts(t.scheme, r.Host, r.URL.Host)
		t.path, t.query, t.hasQuery = pathAndQuery(r.URL)
		return t
	case asked.Opaque != "":
		t.path, t.query, t.hasQuery = "\x00"+r.RequestURI, "", false
	case t.path == "":
		t.path = "/"
	}
	t.rewritten = !sameURL(asked, r.URL)
	t.shown = !t.rewritten
	return t
}

// connectionScheme returns the scheme of the connection on which r came in.
func connectionScheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// splitRequestURI splits the target of a request line (RFC 9112 §3.2). Only an absolute form has a
// scheme, user information and an authority. rest is path and query, or a target that has neither.
func splitRequestURI(uri string) (scheme, user, authority, rest string) {
	if uri[0] == '/' {
		return "", "", "", uri
	}
	i := strings.IndexByte(uri, ':')
	if i <= 0 || !strings.HasPrefix(uri[i:], "://") {
		return "", "", "", uri
	}
	scheme, rest = uri[:i], uri[i+len("://"):]
	if i = strings.IndexByte(rest, '/'); i < 0 {
		i = len(rest)
	}
	if query := strings.IndexByte(rest[:i], '?'); query >= 0 {
		i = query
	}
	authority, rest = rest[:i], rest[i:]
	if i = strings.LastIndexByte(authority, '@'); i >= 0 {
		user, authority = authority[:i+1], authority[i+1:]
	}
	return scheme, user, authority, rest
}

// hosts returns the host of a target, and its server if the URL names another host. The two may be
// different origins, not only different spellings.
func hosts(scheme, host, server string) (meant, asked string) {
	if host == "" {
		host = server
	}
	host = rules.NormalHost(scheme, host)
	if server != "" && server != host {
		if server = rules.NormalHost(scheme, server); server != host {
			return host, server
		}
	}
	return host, ""
}

// pathAndQuery returns the path and the query of u in the form that a target has.
func pathAndQuery(u *url.URL) (path, query string, hasQuery bool) {
	path = u.EscapedPath()
	if u.Opaque != "" {
		path = "\x00" + u.Opaque // "//host/" is another target than the path "//host/"
	}
	if path == "" {
		path = "/"
	}
	return path, u.RawQuery, u.RawQuery != "" || u.ForceQuery
}

// unchanged reports whether u is what net/http has made of this request line. It is cheap, and may
// return false for a URL that was not changed but has a rare spelling.
func (t *target) unchanged(u *url.URL, scheme, user, authority string) bool {
	switch {
	case u.Opaque != "" || u.Fragment != "" || u.Host != authority || u.Scheme != scheme,
		user != "" || u.User != nil,
		u.ForceQuery != (t.hasQuery && t.query == "") || u.RawQuery != t.query,
		!unescapesTo(t.path, u.Path):
		return false
	case u.RawPath != "":
		return u.RawPath == t.path
	}
	return t.path == u.Path || u.EscapedPath() == t.path
}

// unescapesTo reports whether unescaping escaped gives path.
func unescapesTo(escaped, path string) bool {
	if len(escaped) == len(path) {
		return escaped == path && strings.IndexByte(escaped, '%') < 0
	}
	for len(escaped) > 0 {
		c := escaped[0]
		escaped = escaped[1:]
		if c == '%' {
			if len(escaped) < 2 {
				return false
			}
			high, low := fromHex(escaped[0]), fromHex(escaped[1])
			if high > 15 || low > 15 {
				return false
			}
			c, escaped = high<<4|low, escaped[2:]
		}
		if path == "" || path[0] != c {
			return false
		}
		path = path[1:]
	}
	return path == ""
}

// fromHex returns the value of a hexadecimal digit, or more than 15 if c is none.
func fromHex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 0xff
}

// sameURL reports whether a and b are equal in all fields.
func sameURL(a, b *url.URL) bool {
	x, y := *a, *b
	x.User, y.User = nil, nil
	return x == y && (a.User == nil) == (b.User == nil) && (a.User == nil || a.User.String() == b.User.String())
}

// key returns the primary key; ok is false if there is none.
//
// Scheme, host and server each end in NUL. "?" separates path and query; an escaped path has none.
// So no two targets share a key, and one with a NUL in its host has none.
func (t *target) key() (key string, ok bool) {
	var stack [256]byte
	b := append(append(stack[:0], t.scheme...), 0)
	b = append(append(b, t.host...), 0)
	b = append(append(b, t.server...), 0)
	if bytes.Count(b, []byte{0}) != 3 {
		return "", false
	}
	return string(t.appendPathAndQuery(b)), true
}

// appendPathAndQuery appends path and query, as in an origin form (RFC 9112 §3.2.1).
func (t *target) appendPathAndQuery(b []byte) []byte {
	b = append(b, t.path...)
	if t.hasQuery {
		b = append(append(b, '?'), t.query...)
	}
	return b
}

// url returns the target as a URL, for people.
func (t *target) url() string {
	path := strings.TrimPrefix(t.path, "\x00") // of a target that is no path
	if t.hasQuery {
		path += "?" + t.query
	}
	return t.scheme + "://" + t.host + path
}

// origin names the origin (RFC 6454 §4). A cache group belongs to one origin.
func (t *target) origin() string { return t.scheme + "://" + t.host }

// at returns the target of a GET for u, a URI of the same origin.
func (t *target) at(u *url.URL) target {
	other := *t
	other.path, other.query, other.hasQuery = pathAndQuery(u)
	return other
}

// present returns r, whose target is t, in the form in which its client sees it: URL, Host,
// RequestURI and TLS show t. It is the request that a server would have got if the client had
// reached it directly, or that a client sends. It is r itself if that shows t already.
func (t *target) present(r *http.Request) *http.Request {
	switch {
	case t.shown:
		return r
	case t.outbound && r.URL.Scheme != "":
		clean := *r
		clean.RequestURI, clean.TLS = "", nil
		return &clean
	}
	return t.applyTo(*r)
}

// get returns a GET for t, which nobody sent. Of r it only has the protocol and where r came from.
func (t *target) get(r *http.Request) *http.Request {
	get := http.Request{
		Method: http.MethodGet, URL: r.URL, Host: r.Host, TLS: r.TLS, Header: http.Header{},
		Proto: r.Proto, ProtoMajor: r.ProtoMajor, ProtoMinor: r.ProtoMinor, RemoteAddr: r.RemoteAddr,
	}
	return t.applyTo(*get.WithContext(r.Context()))
}

// applyTo returns r with URL, Host, RequestURI and TLS according to t.
func (t *target) applyTo(r http.Request) *http.Request {
	u := &url.URL{Scheme: t.scheme, Host: r.URL.Host}
	form := strings.TrimPrefix(string(t.appendPathAndQuery(nil)), "\x00")
	if opaque, ok := strings.CutPrefix(t.path, "\x00"); ok {
		u.Opaque, u.RawQuery, u.ForceQuery = opaque, t.query, t.hasQuery && t.query == ""
	} else if parsed, err := url.ParseRequestURI(form); err == nil {
		u.Path, u.RawPath, u.RawQuery, u.ForceQuery = parsed.Path, parsed.RawPath, parsed.RawQuery, parsed.ForceQuery
	}
	r.URL = u
	if t.outbound {
		r.RequestURI, r.TLS = "", nil
		return &r
	}
	r.Host, r.RequestURI = t.host, form
	if u.Scheme, u.Host = "", ""; t.server != "" {
		u.Scheme, u.Host = t.scheme, t.server
		r.RequestURI = t.scheme + "://" + t.server + form
	}
	switch {
	case t.scheme == "http":
		r.TLS = nil
	case r.TLS == nil:
		r.TLS = new(tls.ConnectionState)
	}
	return &r
}

// addDimensions adds what next sees of r apart from its target. If two requests for one public URL
// are rewritten to two URLs, they get two answers. The names begin with a colon, so no field can
// have the same name.
//
// Query and Host are only added if they differ from those of the target. Otherwise they are in the
// key, or a Config.Key has left them out on purpose.
func (t *target) addDimensions(b *cirque.VarianceBuilder, r *http.Request) {
	if t.secured {
		b.AddResource(":tls", "")
	}
	if !t.rewritten {
		return
	}
	u := r.URL
	b.AddResource(":path", u.Path)
	for _, part := range [...]struct{ name, value string }{
		{":raw-path", u.RawPath}, {":opaque", u.Opaque}, {":scheme", u.Scheme}, {":authority", u.Host}, {":fragment", u.Fragment},
	} {
		if part.value != "" {
			b.AddNameValue(part.name, part.value)
		}
	}
	if u.User != nil {
		b.AddNameValue(":user", u.User.String())
	}
	if force := t.hasQuery && t.query == ""; u.RawQuery != t.query || u.ForceQuery != force {
		b.AddNameValue(":query", u.RawQuery)
		if u.ForceQuery {
			b.AddNameValue(":force-query", "")
		}
	}
	if rules.NormalHost(t.scheme, r.Host) != t.host {
		b.AddNameValue(":host", r.Host)
	}
}

// hasDimensions reports whether addDimensions adds any.
func (t *target) hasDimensions() bool { return t.rewritten || t.secured }

// publicOrigin is a parsed Config.PublicOrigin. The zero value means that there is none.
type publicOrigin struct {
	scheme string
	host   string // empty if the request names it
}

// parsePublicOrigin parses an origin such as https://www.example.com, or https://* for any host.
func parsePublicOrigin(s string) (publicOrigin, error) {
	if s == "" {
		return publicOrigin{}, nil
	}
	scheme, host, ok := strings.Cut(s, "://")
	scheme = strings.ToLower(scheme)
	switch {
	case !ok || scheme != "http" && scheme != "https":
		return publicOrigin{}, fmt.Errorf("the PublicOrigin %q does not begin with http:// or https://", s)
	case host == "*":
		return publicOrigin{scheme: scheme}, nil
	case !validHost(host) || strings.Contains(host, "*"):
		return publicOrigin{}, fmt.Errorf("the PublicOrigin %q does not end with a host, or host:port, or *", s)
	}
	return publicOrigin{scheme, rules.NormalHost(scheme, host)}, nil
}

// validHost reports whether s can be a host, with or without a port (RFC 9110 §7.2).
func validHost(s string) bool {
	u, err := url.Parse("http://" + s)
	return err == nil && u.Host == s && u.Hostname() != ""
}

// applyPublicOrigin changes t to what a client sees that is connected to a proxy and not to this
// server.
func (c *Cache) applyPublicOrigin(t *target, r *http.Request) {
	scheme, host := c.public.scheme, c.public.host
	if host == "" && c.cfg.TrustForwarded != nil && c.cfg.TrustForwarded(r) {
		if scheme == "" {
			scheme = forwardedScheme(r.Header)
		}
		host = forwardedHost(r.Header)
	}
	before := *t
	if scheme != "" {
		t.scheme = scheme
	}
	asked := r.Host
	if asked == "" {
		asked = before.host
	}
	seen := rules.NormalHost(t.scheme, asked)
	if t.host = seen; host != "" {
		t.host = rules.NormalHost(t.scheme, host)
	}
	t.secured = r.TLS != nil
	t.rewritten = before.rewritten || t.host != seen
	t.shown = before.shown && t.host == before.host && t.scheme == before.scheme
}

// forwardedScheme returns the scheme in X-Forwarded-Proto. It returns "" if the field has no valid
// value, or several: it is not known which of them the proxy has set.
func forwardedScheme(h http.Header) string {
	if lines := h["X-Forwarded-Proto"]; len(lines) == 1 {
		for _, scheme := range [...]string{"https", "http"} {
			if strings.EqualFold(lines[0], scheme) {
				return scheme
			}
		}
	}
	return ""
}

// forwardedHost does the same for the host in X-Forwarded-Host.
func forwardedHost(h http.Header) string {
	if lines := h["X-Forwarded-Host"]; len(lines) == 1 && !strings.ContainsAny(lines[0], ", ") && validHost(lines[0]) {
		return lines[0]
	}
	return ""
}
