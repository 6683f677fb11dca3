package rules

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/cirquecache/cirque/internal/field"
)

// TargetURI returns the request's target URI (RFC 9110 §7.1): absolute, without fragment and user
// information, its scheme and host in lower case and without a default port.
//
// The target of a server's request, one with a RequestURI, is what its client asked for: path and
// query are those of RequestURI, whatever [http.StripPrefix] or a router has made of the URL since.
// The scheme is the connection's: see [TargetScheme]. Where RequestURI is no URI reference the URL
// counts. A request that is to be sent on by a client must have no RequestURI.
func TargetURI(req *http.Request) *url.URL {
	uri := *req.URL
	if asked := requestedURL(req); asked != nil {
		uri = *asked
	}
	uri.Scheme = TargetScheme(req)
	if req.Host != "" {
		uri.Host = req.Host // which may differ from where a client's request is sent
	}
	return normalize(&uri)
}

// requestedURL returns what the request line of a server's request says; nil where req is a
// client's, or the request line has no URL: CONNECT names an authority (RFC 9112 §3.2.3).
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

// TargetScheme returns the scheme of the request's target URI. The scheme of a server's request is
// that of its connection (RFC 9110 §7.1), whatever an absolute form claims: a client must not
// choose which scheme's entries its answer lands in.
func TargetScheme(req *http.Request) string {
	switch {
	case req.URL.Scheme != "" && req.RequestURI == "":
		return strings.ToLower(req.URL.Scheme)
	case req.TLS != nil:
		return "https"
	}
	return "http"
}

// NormalHost returns the host, with its port, of a URI of this scheme: in lower case and without a
// default port (RFC 9110 §4.2.3).
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

// defaultPort returns the port that a URI of this scheme has no need to name, after its colon (RFC
// 9110 §4.2). Where there is none, that is the colon alone.
func defaultPort(scheme string) string {
	switch scheme {
	case "http":
		return ":80"
	case "https":
		return ":443"
	}
	return ":"
}

// resolve returns the URI that a reference in a field refers to, seen from base, or nil where it is
// none of http. It is normalized as TargetURI's.
func resolve(base *url.URL, reference string) *url.URL {
	uri, err := base.Parse(field.TrimOWS(reference))
	if err != nil || uri.Host == "" {
		return nil
	}
	return normalize(uri)
}

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
