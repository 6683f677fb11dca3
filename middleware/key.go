package middleware

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/cirquecache/cirque"
)

// door tells the two front doors apart in keys: what a handler writes and what a server sends for
// the same URL are different resources.
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

// DefaultKey returns the primary key of a request: scheme, Host, the URL's host where it differs,
// the escaped path as it was sent, and the raw query. GET and HEAD share a key. Nothing but the
// case and the default port of the host is normalised (RFC 9110 §4.2.3): two spellings of one URL
// may be two resources, and a cache that guesses wrongly serves one for the other.
//
// The key of a server's request, one with a RequestURI, is that of what its client asked for,
// whatever the URL was rewritten to since. The scheme is the connection's. A Config.Key hook is
// given a request that shows what Config.PublicOrigin and Config.TrustForwarded make of it, and can
// pass that to DefaultKey.
func DefaultKey(r *http.Request) (key string, ok bool) {
	t := targetOf(r)
	return t.key()
}

// HandlerKey returns the key that a GET for r's URL has behind the cache's handlers; ok is false
// where it has none. The URL of a server's request, one with a RequestURI, is the one that its
// client asked for. What is put under the key by hand is not found by requests whose URL or Host
// was rewritten on the way to the Handler: see Config.Key. Where it varies by fields that
// Config.Normalize names, it has to be put for the values that the rules give them.
func (c *Cache) HandlerKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	c.mustBeNew()
	r = c.normalized(r)
	t := c.target(doorHandler, r)
	return c.key(doorHandler, &t, r)
}

// TransportKey is HandlerKey for the cache's transports. It goes by r.URL alone.
func (c *Cache) TransportKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	c.mustBeNew()
	r = c.normalized(r)
	t := c.target(doorTransport, r)
	return c.key(doorTransport, &t, r)
}

// key returns the cache key behind d of a request, whose target is t.
func (c *Cache) key(d door, t *target, r *http.Request) (cirque.CacheKey, bool) {
	shown := r
	if c.cfg.Key != nil || c.cfg.UserTag != nil {
		shown = t.present(r)
	}
	return c.keyOf(d, t, shown, r.Header)
}

// keyOfGet returns the cache key behind d of a GET for t that has the credentials of r.
func (c *Cache) keyOfGet(d door, t *target, r *http.Request) (cirque.CacheKey, bool) {
	return c.keyOf(d, t, t.get(r), r.Header)
}

// keyOf returns the cache key behind d for t. The hooks see shown, and header has the credentials.
func (c *Cache) keyOf(d door, t *target, shown *http.Request, header http.Header) (cirque.CacheKey, bool) {
	var primary, tag string
	var ok bool
	if c.cfg.Key != nil {
		primary, ok = c.cfg.Key(shown)
	} else {
		primary, ok = t.key()
	}
	if !ok {
		return cirque.CacheKey{}, false
	}
	if c.cfg.UserTag != nil {
		tag = c.cfg.UserTag(shown)
	}
	if c.keyedByCredentials() {
		primary += credentialsKey(header)
	}
	return cirque.NewCacheKey(c.namespaces[d], primary, tag), true
}

// keyedByCredentials reports whether the keys tell users apart by credentialFields.
func (c *Cache) keyedByCredentials() bool { return c.cfg.Private && !c.cfg.SingleUser }

// credentialFields say whose a request is.
var credentialFields = [...]string{"Authorization", "Cookie"}

// credentialsKey sets one user's entries in a private cache apart from another's. Its length is
// fixed, so that it can be appended to any key.
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
