package rules

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// TargetURI returns the request's target URI (RFC 9110 §7.1). It is absolute, has no fragment and
// no user information, has scheme and host in lower case, and names no default port.
//
// A server's request is one with a RequestURI. Its target is what its client asked for: path and
// query come from RequestURI, even if [http.StripPrefix] or a router has changed the URL since. The
// scheme is that of the connection: see [TargetScheme]. If RequestURI is not a URI, the URL is
// used. A request that a client sends must have no RequestURI.
func TargetURI(req *http.Request) *url.URL {
	uri := *req.URL
	if asked := requestedURL(req); asked != nil {
		uri = *asked
	}
	uri.Scheme = TargetScheme(req)
	if req.Host != "" {
		uri.Host = req.Host // a client may send its request to another host than it names
	}
	return normalize(&uri)
}

// requestedURL returns the URL in the request line of a server's request. It returns nil for a
// client's request, and if the request line has no URL: CONNECT names an authority (RFC 9112
// §3.2.3).
func requestedURL(req *http.Request) *url.URL {
	if req.RequestURI == "" || req.Method == http.MethodConnect && req.RequestURI[0] != '/' {
		return nil
	}
	uri, err := url.ParseRequestURI(req.RequestURI)
	if err != nil {
		return nil
	}
	return uri
}

// TargetScheme returns the scheme of the request's target URI. For a server's request it is that of
// the connection (RFC 9110 §7.1). The scheme of an absolute-form request line is ignored: otherwise
// a client could choose under which scheme its answer is stored.
func TargetScheme(req *http.Request) string {
	switch {
	case req.URL.Scheme != "" && req.RequestURI == "":
		return strings.ToLower(req.URL.Scheme)
	case req.TLS != nil:
		return "https"
	}
	return "http"
}

// NormalHost returns host, which may have a port, in lower case and without the default port of the
// scheme (RFC 9110 §4.2.3).
func NormalHost(scheme, host string) string {
	host = strings.ToLower(host)
	if strings.IndexByte(host, ':') < 0 {
		return host
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil || port != "" && ":"+port != defaultPort(scheme) {
		return host
	}
	if strings.IndexByte(name, ':') >= 0 { // an IPv6 address
		return "[" + name + "]"
	}
	return name
}

// defaultPort returns a colon and the default port of the scheme (RFC 9110 §4.2). For a scheme
// without a default port it returns the colon alone.
func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return ":80"
	case "https":
		return ":443"
	}
	return ":"
}

// resolve returns the URI that a reference in a field refers to, relative to base. It returns nil
// if the reference is invalid or the URI has no host. The URI is normalized as in TargetURI.
func resolve(base *url.URL, reference string) *url.URL {
	uri, err := base.Parse(field.TrimOWS(reference))
	if err != nil || uri.Host == "" {
		return nil
	}
	return normalize(uri)
}

// normalize changes uri to the form that TargetURI describes, and returns it.
func normalize(uri *url.URL) *url.URL {
	uri.User, uri.Fragment, uri.RawFragment = nil, "", ""
	uri.Scheme = strings.ToLower(uri.Scheme)
	uri.Host = NormalHost(uri.Scheme, uri.Host)
	if uri.Path == "" {
		uri.Path = "/" // RFC 9110 §4.2.3
	}
	return uri
}

// sameOrigin compares two normalized URIs (RFC 9110 §4.3.1).
func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }
