package middleware

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"

	"github.com/cirquecache/cirque"
)

// door tells the two front doors apart in keys: what a handler writes and what a server sends for the same URL
// are different resources.
type door string

const (
	doorHandler   door = "h"
	doorTransport door = "t"
)

// DefaultKey returns the primary key of a request: scheme, URL host, Host where it differs, the
// escaped path as it was sent, and the raw query. GET and HEAD share a key. Nothing but the case and the default port of the
// host is normalised (RFC 9110 §4.2.3): two spellings of one URL may be two resources, and a cache that guesses wrongly
// serves one for the other.
func DefaultKey(r *http.Request) (key string, ok bool) {
	target := cirque.TargetURI(r)
	scheme, host, also := target.Scheme, target.Host, ""
	if r.URL.Host != "" && r.Host != "" && r.Host != r.URL.Host {
		// The origin that is asked and the one that is meant differ. Where they differ in spelling
		// only, they are one.
		if also = normalHost(scheme, r.Host); also == host {
			also = ""
		}
	}
	path := r.URL.EscapedPath()
	if r.URL.Opaque != "" {
		path = r.URL.Opaque
	}
	if path == "" {
		path = "/" // RFC 9110 §4.2.3: an empty path component is equivalent to "/"
	}
	var b strings.Builder
	b.Grow(len(scheme) + len(host) + len(also) + len(path) + len(r.URL.RawQuery) + 4)
	// NUL ends each part but the last two, which a "?" parts that no escaped path holds. So no two
	// requests share a key; one that smuggles a NUL in has none.
	for _, part := range [...]string{scheme, host, also} {
		if strings.IndexByte(part, 0) >= 0 {
			return "", false
		}
		b.WriteString(part)
		b.WriteByte(0)
	}
	b.WriteString(path)
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		b.WriteByte('?')
		b.WriteString(r.URL.RawQuery)
	}
	return b.String(), true
}

func normalHost(scheme, host string) string {
	return cirque.TargetURI(&http.Request{URL: &url.URL{Scheme: scheme, Host: host}}).Host
}

// key returns the cache key of a request that came in by d.
func (c *Cache) key(d door, r *http.Request, header http.Header) (cirque.CacheKey, bool) {
	primary, ok := c.cfg.Key(r)
	if !ok {
		return cirque.CacheKey{}, false
	}
	if c.cfg.Private && !c.cfg.SingleUser {
		primary += credentialsKey(header)
	}
	var tag string
	if c.cfg.UserTag != nil {
		tag = c.cfg.UserTag(r)
	}
	return cirque.NewCacheKey(c.namespaces[d], primary, tag), true
}

// credentialsKey sets one user's entries in a private cache apart from another's. Its length is fixed, so that
// it can be appended to any key.
func credentialsKey(header http.Header) string {
	h := sha256.New()
	for _, name := range [...]string{"Authorization", "Cookie"} {
		for _, value := range header[name] {
			h.Write([]byte(value))
			h.Write([]byte{0})
		}
		h.Write([]byte{0})
	}
	return "\x00" + hex.EncodeToString(h.Sum(nil)[:16])
}
