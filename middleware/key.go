package middleware

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/cirquecache/cirque"
)

// door tells the two front doors apart in keys: what a handler writes and what a server sends for the same URL
// are different resources.
type door uint8

const (
	doorHandler door = iota
	doorTransport
	doorCount
)

// namespaces returns the namespaces of a cache's keys, door by door.
func namespaces(namespace string) [doorCount]string {
	return [doorCount]string{doorHandler: "h:" + namespace, doorTransport: "t:" + namespace}
}

// DefaultKey returns the primary key of a request: scheme, Host, the URL's host where it differs, the
// escaped path as it was sent, and the raw query. GET and HEAD share a key. Nothing but the case and the default port of the
// host is normalised (RFC 9110 §4.2.3): two spellings of one URL may be two resources, and a cache that guesses wrongly
// serves one for the other.
func DefaultKey(r *http.Request) (key string, ok bool) {
	scheme := cirque.TargetScheme(r)
	host, asked := r.Host, r.URL.Host
	if host == "" {
		host = asked
	}
	host = cirque.NormalHost(scheme, host)
	if asked != "" && asked != host {
		// The origin that is asked and the one that is meant may differ in more than spelling.
		if asked = cirque.NormalHost(scheme, asked); asked == host {
			asked = ""
		}
	} else {
		asked = ""
	}
	path := r.URL.EscapedPath()
	if r.URL.Opaque != "" {
		path = "\x00" + r.URL.Opaque // "//host/" is another target than the path "//host/" (RFC 9112 §3.2)
	}
	if path == "" {
		path = "/" // RFC 9110 §4.2.3: an empty path component is equivalent to "/"
	}
	// NUL ends each part but the last two, which a "?" parts that no escaped path holds, nor does one begin with a NUL. So
	// no two requests share a key; one that smuggles a NUL in has none.
	var stack [256]byte
	b := append(append(stack[:0], scheme...), 0)
	b = append(append(b, host...), 0)
	b = append(append(b, asked...), 0)
	if bytes.Count(b, []byte{0}) != 3 {
		return "", false
	}
	b = append(b, path...)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		b = append(append(b, '?'), r.URL.RawQuery...)
	}
	return string(b), true
}

// HandlerKey returns the key that a GET for r's URL has behind the cache's handlers; ok is false where it has none.
func (c *Cache) HandlerKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	return c.key(doorHandler, r, r.Header)
}

// TransportKey is HandlerKey for the cache's transports.
func (c *Cache) TransportKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	return c.key(doorTransport, r, r.Header)
}

// key returns the cache key of a request that came in by d.
func (c *Cache) key(d door, r *http.Request, header http.Header) (cirque.CacheKey, bool) {
	primary, ok := c.cfg.Key(r)
	if !ok {
		return cirque.CacheKey{}, false
	}
	if c.keyedByCredentials() {
		primary += credentialsKey(header)
	}
	var tag string
	if c.cfg.UserTag != nil {
		tag = c.cfg.UserTag(r)
	}
	return cirque.NewCacheKey(c.namespaces[d], primary, tag), true
}

// keyedByCredentials reports whether the keys tell users apart by credentialFields.
func (c *Cache) keyedByCredentials() bool { return c.cfg.Private && !c.cfg.SingleUser }

// credentialFields say whose a request is.
var credentialFields = [...]string{"Authorization", "Cookie"}

// credentialsKey sets one user's entries in a private cache apart from another's. Its length is fixed, so that
// it can be appended to any key.
func credentialsKey(header http.Header) string {
	h := sha256.New()
	for _, name := range credentialFields {
		for _, value := range header[name] {
			h.Write([]byte(value))
			h.Write([]byte{0})
		}
		h.Write([]byte{0})
	}
	return "\x00" + hex.EncodeToString(h.Sum(nil)[:16])
}
