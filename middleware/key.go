package middleware

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/cirquecache/cirque"
)

// door tells the two front doors apart in keys: for the same URL, the answer of a handler and the
// answer of a server behind a transport are different resources.
type door uint8

const (
	doorHandler door = iota
	doorTransport
	doorCount
)

// namespaces returns the namespaces of the cache's keys, one for each door.
func namespaces(namespace string) [doorCount]string {
	return [doorCount]string{doorHandler: "h:" + namespace, doorTransport: "t:" + namespace}
}

// DefaultKey returns the primary key of a request. It consists of the scheme, Host, the URL's host
// if that differs, the escaped path as it was sent, and the raw query. GET and HEAD have the same
// key. Only the case and the default port of the host are normalised (RFC 9110 §4.2.3). Two
// spellings of one URL may be two resources: a cache that takes them for one could serve the wrong
// one.
//
// A request with a RequestURI is a server's. Its key is that of the URL for which its client asked,
// even if r.URL was rewritten since. The scheme is that of the connection. A Config.Key hook gets a
// request that shows the public URL, with Config.PublicOrigin and Config.TrustForwarded applied.
// The hook can pass that request to DefaultKey.
func DefaultKey(r *http.Request) (key string, ok bool) {
	t := targetOf(r)
	return t.key()
}

// HandlerKey returns the key that a GET for r's URL has behind the cache's handlers; ok is false if
// it has none. If r has a RequestURI, it is a server's request, and the URL is the one for which
// its client asked.
//
// A response that is put under the key by hand is not found by requests whose URL or Host was
// rewritten on the way to the Handler: see Config.Key. If the response varies by fields in
// Config.Normalize, it must be put for the values that the rules return.
func (c *Cache) HandlerKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	c.mustBeNew()
	r = c.normalized(r)
	t := c.target(doorHandler, r)
	return c.key(doorHandler, &t, r)
}

// TransportKey is HandlerKey for the cache's transports. It uses r.URL and r.Host, and never
// RequestURI.
func (c *Cache) TransportKey(r *http.Request) (key cirque.CacheKey, ok bool) {
	c.mustBeNew()
	r = c.normalized(r)
	t := c.target(doorTransport, r)
	return c.key(doorTransport, &t, r)
}

// key returns the cache key, behind d, of a request whose target is t.
func (c *Cache) key(d door, t *target, r *http.Request) (cirque.CacheKey, bool) {
	shown := r
	if c.cfg.Key != nil || c.cfg.UserTag != nil {
		shown = t.present(r)
	}
	return c.keyOf(d, t, shown, r.Header)
}

// keyOfGet returns the cache key, behind d, of a GET for t with the credentials of r.
func (c *Cache) keyOfGet(d door, t *target, r *http.Request) (cirque.CacheKey, bool) {
	return c.keyOf(d, t, t.get(r), r.Header)
}

// keyOf returns the cache key, behind d, for t. shown is the request that hooks get; header has the
// credentials.
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

// keyedByCredentials reports whether the keys contain hashes of credentialFields, and so tell users
// apart.
func (c *Cache) keyedByCredentials() bool { return c.cfg.Private && !c.cfg.SingleUser }

// credentialFields are the fields that say whose a request is.
var credentialFields = [...]string{"Authorization", "Cookie"}

// credentialsKey returns a suffix for keys that tells the users of a private cache apart. Its
// length is fixed, so that it can be appended to any key.
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
